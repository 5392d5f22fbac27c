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
  const written = countWritten(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new JsonError('is not JSON', { cause })
  }
  // Of a member that stands twice one is left, so the counts tell. Whether anything is wrong, and what,
  // is for the careful look to say.
  if (isPlain(text) && countRead(value) === written) return value
  const read = readByName(text)
  checkValues(read)
  return read
}

/**
 * How many members are written, by their colons: one pass over what stands outside strings. Depth is
 * refused here, before any parser recurses.
 */
const countWritten = (text: string): number => {
  let depth = 0
  let members = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) at = endOfString(text, at)
    else if (code === 0x3a) members++
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > maxDepth) throw new JsonError(`is nested deeper than ${maxDepth} levels`)
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return members
}

/** Index of the closing quote of the string that opens at `at`; the end of the text where it is open. */
const endOfString = (text: string, at: number): number => {
  const quote = text.indexOf('"', at + 1)
  if (quote > 0 && text.charCodeAt(quote - 1) !== 0x5c) return quote
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x5c) i++
    else if (code === 0x22) return i
  }
  return text.length
}

/**
 * Whether no name is written with an escape, which JSON.parse may misread, and no string could be
 * ill-formed: half a pair stands there as it is, or in an escape.
 */
const isPlain = (text: string): boolean =>
  text.isWellFormed() && !(text.includes('\\') && oddEscape.test(text))

/** Of a character by its number, or the last in a string before a colon. */
const oddEscape = /\\u|\\.[^"\\]*"[ \n\r\t]*:/s

/** How many members a value has, all objects in it counted; NaN where one is `__proto__`, or a number too large. */
const countRead = (value: unknown): number => {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN
  if (typeof value !== 'object' || value === null) return 0
  let members = 0
  if (Array.isArray(value)) {
    for (const item of value) members += countRead(item)
    return members
  }
  const record = value as Readonly<Record<string, unknown>>
  for (const name of Object.keys(record)) {
    if (name === '__proto__') return Number.NaN
    members += 1 + countRead(record[name])
  }
  return members
}

/**
 * The value of a text that is known to be JSON, each name read on its own. V8 takes a name with an
 * escape for one it has met in the same place before, where the letters agree as they are written:
 * `"\""` for `"\\"` (nodejs/node#63785). Anyone could have the names of others misread.
 */
const readByName = (text: string): unknown => {
  let at = 0
  const peek = (): string | undefined => {
    at = endOfRun(text, at, between)
    return text[at]
  }
  const readValue = (): unknown => {
    const first = peek()
    if (first === '{') return readMembers()
    if (first === '[') return readItems()
    const start = at
    at = first === '"' ? endOfString(text, at) + 1 : endOfRun(text, at, word)
    return JSON.parse(text.slice(start, at))
  }
  const readMembers = (): Members => {
    const members: Record<string, unknown> = {}
    at++
    while (peek() !== '}') {
      const name = readValue() as string
      if (name === '__proto__') throw new JsonError('has a member named "__proto__"')
      if (Object.hasOwn(members, name)) throw new JsonError(`has ${describeName(name)} twice`)
      members[name] = readValue()
    }
    at++
    return members
  }
  const readItems = (): readonly unknown[] => {
    const items: unknown[] = []
    at++
    while (peek() !== ']') items.push(readValue())
    at++
    return items
  }
  return readValue()
}

/** White space, commas and colons: in JSON they say nothing that the rest does not. */
const between = /[ \n\r\t,:]*/y
/** A number, or one of the three words. */
const word = /[^ \n\r\t,\]}]*/y

/** Where the characters of a kind that stand at `at`, none or some, end. */
const endOfRun = (text: string, at: number, kind: RegExp): number => {
  kind.lastIndex = at
  kind.test(text)
  return kind.lastIndex
}

/** Names the member only where its name can hold nothing else: whoever reads this may log it. */
const describeName = (name: string): string =>
  /^[A-Za-z_]{0,24}$/.test(name) ? `the member "${name}"` : 'a member'

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

type Members = Readonly<Record<string, unknown>>

/**
 * Canonical JSON (RFC 8785): members sorted by UTF-16 code unit, no white space, numbers as
 * ECMAScript writes them. Absent (`undefined`) members are left out.
 * @throws TypeError for what JSON cannot say: a bigint, a non-finite number, a lone surrogate.
 */
export const formatCanonical = (value: unknown): string => {
  // With every member in its place JSON.stringify writes the same, several times as fast.
  const arranged = arrange(value)
  const text = arranged === undefined ? undefined : JSON.stringify(arranged)
  // A lone surrogate it writes as an escape. What only looks like one is a backslash before those letters.
  return text === undefined || text.includes('\\ud') ? formatByMember(value) : text
}

/**
 * The value with its members in their places: itself, or a copy. Undefined where JSON.stringify would
 * not write it as it should be.
 */
const arrange = (value: unknown): unknown => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : undefined
    case 'object':
      if (value === null) return null
      return Array.isArray(value) ? arrangeItems(value) : arrangeMembers(value as Members)
    default:
      return undefined
  }
}

const arrangeItems = (items: readonly unknown[]): readonly unknown[] | undefined => {
  const arranged = items.map(arrange)
  if (arranged.includes(undefined)) return undefined
  return arranged.every((item, at) => item === items[at]) ? items : arranged
}

const arrangeMembers = (record: Members): Members | undefined => {
  if (!isInOrder(record)) return sortMembers(record)
  let copy: Record<string, unknown> | undefined
  for (const name in record) {
    const member = record[name]
    if (member === undefined) continue
    const arranged = arrange(member)
    if (arranged === undefined) return undefined
    if (arranged === member) continue
    copy ??= { ...record }
    copy[name] = arranged
  }
  return copy ?? record
}

/** Another prototype may have a say in what JSON.stringify writes, as that of a Date has. */
const isInOrder = (record: Members): boolean => {
  let last = ''
  for (const name in record) {
    if (name < last) return false
    last = name
  }
  const prototype = Object.getPrototypeOf(record)
  return prototype === Object.prototype || prototype === null
}

const sortMembers = (record: Members): Members | undefined => {
  const sorted: Record<string, unknown> = {}
  for (const name of sortNames(Object.keys(record))) {
    const member = record[name]
    if (member === undefined) continue
    const arranged = arrange(member)
    if (arranged === undefined || isUnruly(name)) return undefined
    sorted[name] = arranged
  }
  return sorted
}

/** In place. The few names of an entry's parts are in order sooner than `sort` has begun. */
const sortNames = (names: string[]): readonly string[] => {
  if (names.length > fewNames) return names.sort()
  for (let end = 1; end < names.length; end++) {
    const name = names[end] as string
    let at = end
    for (; at > 0 && (names[at - 1] as string) > name; at--) names[at] = names[at - 1] as string
    names[at] = name
  }
  return names
}

const fewNames = 24

/** Numbers, which an object has before its other members, and the name that makes no member when it is set. */
const isUnruly = (name: string): boolean => (name >= '0' && name < ':') || name === '__proto__'

/** Each value on its own: for what is rare, and for the words of a refusal. */
const formatByMember = (value: unknown): string => {
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
      if (Array.isArray(value)) return `[${value.map(formatByMember).join(',')}]`
      const record = value as Members
      const parts: string[] = []
      for (const name of Object.keys(record).sort()) {
        const member = record[name]
        if (member !== undefined) parts.push(`${formatByMember(name)}:${formatByMember(member)}`)
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
