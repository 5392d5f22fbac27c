import { z } from '@hono/zod-openapi'

/** Control characters, line separators, and the characters that turn text around: no sentence needs them. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u

/** Why, in a sentence for the log. */
export const reasonSchema = z
  .string()
  .max(512)
  .refine((text) => !unprintable.test(text))
