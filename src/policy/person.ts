import type { Identity, Memberships } from '../identity/index.ts'
import { encodeUtf8 } from '../lib/bytes.ts'
import { parseYaml } from '../lib/yaml.ts'
import { createCaller } from './test.ts'
import { testWho } from './test-who-schema.ts'

/** A person, or in words what is wrong with the way one was written. */
export type PersonResult =
  | { readonly ok: true; readonly identity: Identity; readonly memberships: Memberships }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Reads a person as the policy's own tests write one, as data: `{ github: { id: "583231", teams:
 * [acme/dev] } }`. What is left out is empty. `at` is when they ask.
 */
export const readPerson = (value: unknown, at: Date): PersonResult => {
  const result = testWho.safeParse(value)
  if (result.success) return { ok: true, ...createCaller(result.data, at) }
  const problems = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  )
  return { ok: false, problems }
}

/** The same from a line of YAML or JSON. */
export const parsePerson = (text: string, at: Date): PersonResult => {
  const parsed = parseYaml('--as', encodeUtf8(text))
  if (!parsed.ok) return { ok: false, problems: parsed.problems.map(({ message }) => message) }
  return readPerson(parsed.yaml.value, at)
}
