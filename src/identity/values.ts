/** A JSON object as it was received: nothing in it has been checked. */
export type Unchecked = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Unchecked =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isStringList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')

/** Whether a value is a string of 1 to 255 characters, none of them invisible, and not only spaces. */
export const isName = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= 255 &&
  value.trim() !== '' &&
  !/[\p{C}\p{Zl}\p{Zp}]/u.test(value)
