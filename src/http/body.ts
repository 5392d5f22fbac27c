import type { z } from '@hono/zod-openapi'
import { AppError, type Code } from '../errors.ts'
import { concat, decodeUtf8 } from '../lib/bytes.ts'
import { JsonError, parseJson } from '../lib/json.ts'
import type { HttpContext } from './context.ts'

/** 64 KiB: an RSA-16384 key with a long reason is a tenth of it. */
export const maxBodyBytes = 64 * 1024

const tooLarge = () => new AppError('body_too_large', 'The body is larger than 64 KiB: send less.')

/** The length a request declares; undefined where it declares none. @throws body_too_large */
export const checkDeclaredLength = (c: HttpContext): number | undefined => {
  const text = c.req.header('content-length')
  if (text === undefined) return undefined
  // Node's parser has refused everything but digits, and holds the sender to the number.
  const length = Number(text)
  if (!(length <= maxBodyBytes)) throw tooLarge()
  return length
}

const readBytes = async (c: HttpContext): Promise<Uint8Array> => {
  if (checkDeclaredLength(c) !== undefined) {
    const bytes = new Uint8Array(await c.req.raw.arrayBuffer())
    if (bytes.length > maxBodyBytes) throw tooLarge()
    return bytes
  }
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of c.req.raw.body ?? []) {
    size += part.length
    if (size > maxBodyBytes) throw tooLarge()
    parts.push(part)
  }
  return concat(...parts)
}

const jsonType = /^application\/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/i

const checkMediaType = (c: HttpContext, type: RegExp, words: string): void => {
  const encoding = c.req.header('content-encoding')
  if (!type.test(c.req.header('content-type') ?? '') || encoding !== undefined) {
    throw new AppError('unsupported_media_type', `Send the body as ${words}.`)
  }
}

const readWhole = async (c: HttpContext): Promise<Uint8Array> => {
  try {
    const read = () => readBytes(c)
    const outside = c.get('outside')
    return await (outside === undefined ? read() : outside(read))
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('invalid_request', 'The body did not arrive whole: send it again.', {
      cause: error,
    })
  }
}

const textType = /^text\/plain(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/i

/** The text of a request. Codes: `unsupported_media_type`, `body_too_large`, `invalid_request`. */
export const readText = async (c: HttpContext): Promise<string> => {
  checkMediaType(
    c,
    textType,
    'text in UTF-8, uncompressed, with the header Content-Type: text/plain',
  )
  const text = decodeUtf8(await readWhole(c))
  if (text === undefined) throw invalid('The body is not UTF-8: send text in UTF-8.')
  return text
}

const invalid = (message: string) => new AppError('invalid_request', message)

/**
 * The JSON body of a request. Codes: `unsupported_media_type`, `body_too_large`, `invalid_request`
 * for what is not UTF-8, not JSON, or JSON that two readers could read differently.
 */
export const readJson = async (c: HttpContext): Promise<unknown> => {
  checkMediaType(
    c,
    jsonType,
    'JSON in UTF-8, uncompressed, with the header Content-Type: application/json',
  )
  const text = decodeUtf8(await readWhole(c))
  if (text === undefined) throw invalid('The body is not UTF-8: send one JSON object in UTF-8.')
  try {
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw invalid(`The body ${error.message}: send one JSON object, each member once.`)
  }
}

/** What to say of a member that is there and has the wrong shape. */
export type MemberErrors = Readonly<
  Record<string, { readonly code: Code; readonly message: string }>
>

/** A member name that can be quoted back without carrying anything else along: no secret is so plain. */
const quotable = /^[A-Za-z_]{1,24}$/

/**
 * A body in the shape of the schema. @throws AppError with the member's own code, or
 * `invalid_request` for a missing or unknown member.
 */
export const checkShape = <Schema extends z.ZodObject>(
  schema: Schema,
  value: unknown,
  errors: MemberErrors,
): z.output<Schema> => {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const known = Object.keys(schema.shape)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const required = known.filter((name) => !schema.shape[name].safeParse(undefined).success)
    const members = required.map((name) => `"${name}": …`).join(', ')
    throw invalid(`The body is not a JSON object: send {${members}}.`)
  }
  const issue = result.error.issues[0]
  if (issue?.code === 'unrecognized_keys' && issue.path.length === 0) {
    const name = issue.keys.find((key) => quotable.test(key))
    const which = name === undefined ? 'A member of the body' : `The member "${name}"`
    throw invalid(`${which} is not known here. Known are ${known.join(', ')}.`)
  }
  const member = String(issue?.path[0])
  if (!Object.hasOwn(value, member)) {
    throw invalid(`The member "${member}" is missing: send it as a string.`)
  }
  const { code, message } = errors[member] ?? { code: 'invalid_request', message: '' }
  throw new AppError(code, message || `The member "${member}" is not valid.`)
}
