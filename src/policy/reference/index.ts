import * as people from './people.ts'
import * as rules from './rules.ts'
import * as tests from './tests.ts'
import type { Word } from './word.ts'

// What every key of a policy file means: the editor shows it, policies/README.md is made of it, and
// each example is loaded by a test. A key without a line here does not compile, or fails that test.

export type { Word }

/** Every word, by the title of the map it stands in (lib/shape.ts). */
export const words = {
  'policy file': rules.file,
  'allow rule': rules.allowRule,
  'deny rule': rules.denyRule,
  require: rules.require,
  reason: rules.reason,
  when: rules.whenWords,
  'who entry': people.whoEntry,
  github: people.github,
  oidc: people.oidc,
  'host entry': people.hostEntry,
  'login entry': people.loginEntry,
  'known host': people.knownHost,
  roles: people.roles,
  test: tests.test,
  ask: tests.ask,
  'test who': tests.testWho,
  'test github': tests.testGithub,
  'test org': tests.testOrg,
  'test team': tests.testTeam,
  'test oidc': tests.testOidc,
  'expected allow': tests.expectedAllow,
  'expected deny': tests.expectedDeny,
} as const satisfies Readonly<Record<string, Readonly<Record<string, Word>>>>

/** The title of a map of keys. */
export type Title = keyof typeof words
