/** Why a text was refused, in words for the person who sent it. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
}

const maxDepth = 32

/**
 * JSON, read so that two readers can never disagree: no duplicate member, no `__proto__`, at most
 * 32 levels, no lone surrogate, no number that overflows (RFC 8259 section 4 leaves these open,
 * and RFC 8725 section 2.4 is an attack through the gap). @throws JsonError
 */
export const parseJson = (text: string): unknown => {
  checkDepth(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new JsonError('is not JSON', { cause })
  }
  checkMembers(text)
  checkValues(value)
  return value
}

/** One pass over brackets outside strings, so that depth is refused before any parser recurses. */
const checkDepth = (text: string): void => {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) at = endOfString(text, at)
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > maxDepth) throw new JsonError(`is nested deeper than ${maxDepth} levels`)
    } else if (code === 0x7d || code === 0x5d) depth--
  }
}

/** Index of the closing quote of the string that opens at `at`; the end of the text where it is open. */
const endOfString = (text: string, at: number): number => {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x5c) i++
    else if (code === 0x22) return i
  }
  return text.length
}

/** The text is known to be JSON here, so a string directly before a colon is a member's name. */
const checkMembers = (text: string): void => {
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '{') open.push(new Set())
    else if (char === '[') open.push(undefined)
    else if (char === '}' || char === ']') open.pop()
    else if (char === '"') {
      const end = endOfString(text, at)
      const names = open.at(-1)
      if (names !== undefined && isName(text, end + 1)) {
        const name = JSON.parse(text.slice(at, end + 1)) as string
        if (name === '__proto__') throw new JsonError('has a member named "__proto__"')
        if (names.has(name)) throw new JsonError(`has ${describeName(name)} twice`)
        names.add(name)
      }
      at = end
    }
  }
}

/** Names the member only where its name can hold nothing else: whoever reads this may log it. */
const describeName = (name: string): string =>
  /^[A-Za-z_]{0,24}$/.test(name) ? `the member "${name}"` : 'a member'

const isName = (text: string, from: number): boolean => {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return text[at] === ':'
}

const checkValues = (value: unknown): void => {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new JsonError('has a number too large to hold')
  if (typeof value === 'string' && !value.isWellFormed())
    throw new JsonError('has a string that is not well-formed Unicode')
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    checkValues(name)
    checkValues(member)
  }
}

/**
 * Canonical JSON (RFC 8785): members sorted by UTF-16 code unit, no white space, numbers as
 * ECMAScript writes them. Absent (`undefined`) members are left out.
 * @throws TypeError for what JSON cannot say: a bigint, a non-finite number, a lone surrogate.
 */
export const formatCanonical = (value: unknown): string => {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form')
      return JSON.stringify(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no canonical form`)
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object': {
      if (value === null) return 'null'
      if (Array.isArray(value)) return `[${value.map(formatCanonical).join(',')}]`
      const record = value as Record<string, unknown>
      const parts: string[] = []
      for (const name of Object.keys(record).sort()) {
        const member = record[name]
        if (member !== undefined) parts.push(`${formatCanonical(name)}:${formatCanonical(member)}`)
      }
      return `{${parts.join(',')}}`
    }
    default:
      throw new TypeError(`a ${typeof value} has no canonical form`)
  }
}

const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/**
 * JSON in one line with every control, format and line-separating character written as `\u202e`: in
 * JSON it can only stand in a string, where that means the same. A terminal would obey some of them,
 * and a reader of lines end a line at others.
 */
export const escapeJson = (json: string): string =>
  /[^ -~]/.test(json)
    ? json.replace(unsafe, (char) =>
        Array.from(
          { length: char.length },
          (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
        ).join(''),
      )
    : json
