import { AppError } from '../errors.ts'
import type { HttpContext } from './context.ts'

/** What a value of a query must be, and what to send in words. */
export interface Form {
  readonly isValid: (value: string) => boolean
  readonly wanted: string
}

export const time: Form = {
  isValid: (value) =>
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) && !Number.isNaN(Date.parse(value)),
  wanted: 'a time as 2026-11-22T10:00:00Z',
}

const text: Form = {
  isValid: (value) => value !== '' && value.length <= 512 && !/[\p{Cc}\p{Cs}]/u.test(value),
  wanted: 'text of 1 to 512 characters, none of them a control character',
}

/** A whole number of at most three digits. */
export const numberTo = (most: number): Form => ({
  isValid: (value) => /^[1-9][0-9]{0,2}$/.test(value) && Number(value) <= most,
  wanted: `a whole number from 1 to ${most}`,
})

export const oneOf = (values: readonly string[]): Form => ({
  isValid: (value) => values.includes(value),
  wanted: `one of ${values.join(', ')}`,
})

/**
 * The query of a route, whose names are known already (checkTarget); what has no form of its own is
 * text. Each value is looked for as it is, and nothing in it is syntax. Code: `invalid_request`
 */
export const readQuery = <Name extends string>(
  c: HttpContext,
  forms: { readonly [name in Name]?: Form },
): Readonly<Partial<Record<Name, string>>> => {
  const pairs = [...new URL(c.req.url).searchParams] as [Name, string][]
  for (const [name, value] of pairs) {
    const { isValid, wanted } = forms[name] ?? text
    if (!isValid(value)) throw new AppError('invalid_request', `Send "${name}" as ${wanted}.`)
  }
  return Object.fromEntries(pairs) as Readonly<Partial<Record<Name, string>>>
}
