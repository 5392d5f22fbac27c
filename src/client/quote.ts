import { AppError } from '../errors.ts'
import { concat, encodeUtf8 } from '../lib/bytes.ts'

/** A command as a list of arguments, quoted by us, or as text for the login's shell just as it is. */
export type Command = readonly (string | Uint8Array)[] | { readonly command: string | Uint8Array }

/** Linux takes no longer argument (MAX_ARG_STRLEN), and the whole command is one of the shell's. */
const maxBytes = 128 * 1024 - 1

const quote = encodeUtf8("'")
const escaped = encodeUtf8("'\\''")
const space = encodeUtf8(' ')

/**
 * The bytes that a POSIX shell reads as exactly this command. Each argument stands in single quotes,
 * where a shell gives no byte a meaning but the quote itself (POSIX.1-2024 XCU section 2.2.2). A login
 * whose shell is csh or fish reads quotes otherwise. Code: `invalid_command`.
 */
export const encodeCommand = (command: Command): Uint8Array => {
  const bytes = isList(command) ? encodeArguments(command) : toBytes(command.command)
  if (bytes.includes(0)) throw invalid('it holds a NUL, which no argument can')
  if (bytes.length > maxBytes) throw invalid('it is longer than 128 KiB: send much data by `stdin`')
  return bytes
}

const isList = (command: Command): command is readonly (string | Uint8Array)[] =>
  Array.isArray(command)

const encodeArguments = (args: readonly (string | Uint8Array)[]): Uint8Array => {
  if (args.length === 0) throw invalid('it is empty: name a program')
  return concat(...args.flatMap((arg, at) => [...(at === 0 ? [] : [space]), ...quoteOne(arg)]))
}

const quoteOne = (arg: string | Uint8Array): readonly Uint8Array[] => {
  const parts: Uint8Array[] = [quote]
  const bytes = toBytes(arg)
  let start = 0
  for (let at = bytes.indexOf(0x27); at !== -1; at = bytes.indexOf(0x27, start)) {
    parts.push(bytes.subarray(start, at), escaped)
    start = at + 1
  }
  return [...parts, bytes.subarray(start), quote]
}

const toBytes = (part: unknown): Uint8Array => {
  if (part instanceof Uint8Array) return part
  if (typeof part !== 'string') throw invalid('each part is a string, or bytes')
  // A lone surrogate has no bytes, and would silently become U+FFFD.
  if (!part.isWellFormed()) throw invalid('it holds half a character')
  return encodeUtf8(part)
}

const invalid = (why: string): AppError =>
  new AppError('invalid_command', `The command is not valid: ${why}.`)
