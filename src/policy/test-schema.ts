import { z } from 'zod'
import { parseAddress } from '../lib/address.ts'
import { checkedText, chooseShape, filledList, strictShape } from '../lib/shape.ts'
import { denyCodes } from './index.ts'
import { testWho } from './test-who-schema.ts'
import {
  cidr,
  duration,
  extension,
  hostName,
  isMap,
  ruleName,
  sentence,
  testLogin,
} from './values.ts'
import { isDay } from './when.ts'

// The shape of a policy's own tests (DESIGN.md section 5).

const instant = checkedText((text) =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})$/.test(text) &&
  isDay(text.slice(0, 10)) &&
  !Number.isNaN(Date.parse(text))
    ? undefined
    : 'must be a time with its offset, as 2026-12-01T10:00:00Z',
)

const address = checkedText((text) =>
  parseAddress(text) === text ? undefined : 'must be an IP address, as 192.0.2.7',
)

const expectedAllow = strictShape(
  {
    allow: ruleName,
    ttl: duration.optional(),
    principals: filledList(z.string()).optional(),
    extensions: z.array(extension).optional(),
    command: sentence(4096).optional(),
    sourceAddresses: filledList(cidr).optional(),
    outliveToken: z.boolean().optional(),
  },
  'expected allow',
)

const code = z.enum(denyCodes, { error: `must be one of ${denyCodes.join(', ')}` })

/** Codes have an underscore and rule names have none, so one key takes either. */
const expectedDeny = strictShape(
  {
    deny: chooseShape<string>(
      (value) => (typeof value === 'string' && value.includes('_') ? code : ruleName),
      { forms: () => [code, ruleName] },
    ),
    code: code.optional(),
  },
  'expected deny',
)

const denyWord = z.literal('deny', {
  error: 'must be deny, { deny: RULE or CODE } or { allow: RULE, … }',
})

export type Expected = z.output<typeof expectedAllow> | z.output<typeof expectedDeny> | 'deny'

const expected = chooseShape<Expected>(
  (value) => {
    if (!isMap(value)) return denyWord
    return Object.hasOwn(value, 'deny') ? expectedDeny : expectedAllow
  },
  { forms: () => [denyWord, expectedAllow, expectedDeny] },
)

/** The schema of a test. */
export const test = strictShape(
  {
    name: sentence(200),
    at: instant.optional(),
    who: testWho,
    /** The caller's address. */
    from: address.optional(),
    ask: strictShape(
      {
        host: hostName,
        login: testLogin,
        ttl: duration.optional(),
        command: z.string().optional(),
        reason: z.string().optional(),
        /** As if it came with a good proof of possession. */
        proof: z.literal(true, { error: 'must be true, or left out' }).optional(),
      },
      'ask',
    ),
    expect: expected,
  },
  'test',
)

export type TestShape = z.output<typeof test>
