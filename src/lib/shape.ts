import { z } from 'zod'
import { findNearest } from './nearest.ts'

/** What a value must be, in words, for zod's own names of types. */
const kinds: Readonly<Record<string, string>> = {
  string: 'must be text; put it in quotes where YAML reads it as something else',
  number: 'must be a number',
  boolean: 'must be true or false',
  array: 'must be a list, as [a, b]',
  object: 'must be a map of keys',
  record: 'must be a map of keys',
}

/** What `chooseShape` chooses from, for those who describe a schema (lib/json-schema.ts). */
export const shapeForms = z.registry<{ readonly list: () => readonly unknown[] }>()

/**
 * An object with exactly these keys, under the title by which its keys are explained. Unlike zod's own it reports each unknown key at the key itself
 * with the nearest known one, a missing key by its name, and null as what it is: empty.
 */
export const strictShape = <S extends z.ZodRawShape>(shape: S, title?: string) => {
  const object = z.strictObject(shape)
  const schema = title === undefined ? object : object.meta({ title })
  const known = Object.keys(shape)
  return chooseShape(() => schema, {
    explain: (issue, value) => {
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => ({
          path: [key],
          message: explainUnknown('key', key, known),
          atKey: true,
        }))
      }
      const [key] = issue.path
      const isMissing =
        issue.path.length === 1 && !Object.hasOwn(value as object, key as PropertyKey)
      return isMissing ? [{ path: [], message: `"${String(key)}" is missing` }] : undefined
    },
  })
}

interface Finding {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly atKey?: boolean
}

/**
 * A value whose schema depends on the value, so that its problems are those of the one form that
 * was meant. Every problem of the value is reported, none hides another. `forms` are all the schemas
 * there are to choose from, where the value matters.
 */
export const chooseShape = <T>(
  choose: (value: unknown) => z.ZodType<T>,
  more: {
    readonly explain?: (issue: z.core.$ZodIssue, value: unknown) => readonly Finding[] | undefined
    readonly forms?: () => readonly z.ZodType[]
  } = {},
) => {
  const schema = z.unknown().transform((value, context): T => {
    const result = choose(value).safeParse(value, { error: describeIssue })
    if (result.success) return result.data
    for (const issue of result.error.issues) {
      const isObject = typeof value === 'object' && value !== null
      const findings = (isObject ? more.explain?.(issue, value) : undefined) ?? [
        {
          path: issue.path,
          message: issue.message,
          atKey: issue.code === 'custom' && issue.params?.['atKey'] === true,
        },
      ]
      for (const { path, message, atKey = false } of findings) {
        context.addIssue({ code: 'custom', path: [...path], message, params: { atKey } })
      }
    }
    return z.NEVER
  })
  shapeForms.add(schema, { list: more.forms ?? (() => [choose(undefined)]) })
  return schema
}

const describeIssue: z.core.$ZodErrorMap = (issue) => {
  if (issue.code !== 'invalid_type') return undefined
  if (issue.input === null) return 'is empty: write a value, or leave the key out'
  return kinds[issue.expected]
}

/** Says that a name is unknown, and which known one was probably meant. */
export const explainUnknown = (what: string, name: string, known: Iterable<string>): string => {
  const words = [...known]
  const nearest = findNearest(name, words)
  const list = words.length === 0 || words.length > 20 ? '' : `; known are ${words.join(', ')}`
  return `unknown ${what} "${name}"${nearest === undefined ? list : `; did you mean "${nearest}"?`}`
}

/** Text that a function finds nothing wrong with; it says what is wrong, or undefined. */
export const checkedText = (explain: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = explain(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

/** A list with at least one entry: an empty one would say nothing, and nothing is never "all". */
export const filledList = <S extends z.ZodType>(entry: S) =>
  z
    .array(entry)
    .min(1, 'is an empty list, which grants nothing; name something or leave the key out')
