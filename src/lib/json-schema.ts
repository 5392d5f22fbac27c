import { z } from 'zod'
import { shapeForms } from './shape.ts'

/** A JSON Schema, as data: draft 7, which editors know best. */
export type JsonSchema = { readonly [key: string]: unknown }

/** What keys mean, by the title of the map they stand in. */
export type KeyWords = Readonly<Record<string, Readonly<Record<string, { readonly text: string }>>>>

/**
 * What a schema takes, as JSON Schema with an explanation at every key. It says what can be said
 * of the form alone: what follows from other values is left to the schema itself.
 */
export const formatJsonSchema = (
  schema: z.ZodType,
  title: string,
  words: KeyWords,
): JsonSchema => ({
  ...(describeKeys(convert(schema), words) as JsonSchema),
  title,
})

const convert = (schema: z.ZodType): JsonSchema => {
  const { $schema, ...converted } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
    reused: 'inline',
    override({ zodSchema, jsonSchema }) {
      // Defaults are given in words: what zod has is the value as it is read, not as it is written.
      delete jsonSchema.default
      const forms = shapeForms.get(zodSchema)?.list() as readonly z.ZodType[] | undefined
      if (forms === undefined) return
      const members = forms.map((form) => {
        const { $schema: _, ...member } = convert(form)
        return member
      })
      Object.assign(jsonSchema, members.length === 1 ? members[0] : { anyOf: members })
    },
  })
  return { $schema, ...converted }
}

/** The same with a description at each key of each map that has a title. */
const describeKeys = (node: unknown, words: KeyWords): unknown => {
  if (Array.isArray(node)) return node.map((item) => describeKeys(item, words))
  if (typeof node !== 'object' || node === null) return node
  const members = Object.entries(node).map(
    ([key, value]) => [key, describeKeys(value, words)] as const,
  )
  const described: Record<string, unknown> = Object.fromEntries(members)
  const { title, properties } = described
  const known = typeof title === 'string' && Object.hasOwn(words, title) ? words[title] : undefined
  if (known === undefined || typeof properties !== 'object' || properties === null) return described
  described['properties'] = Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [
      key,
      known[key] === undefined ? value : { description: known[key].text, ...(value as JsonSchema) },
    ]),
  )
  return described
}
