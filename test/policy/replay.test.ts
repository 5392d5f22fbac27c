import { describe, expect, test } from 'vitest'
import {
  compareVerdict,
  createReplay,
  decideAgain,
  type StoredAsk,
  type StoredDecision,
} from '../../src/policy/replay.ts'
import { ask, github, load, noon, rule, rules, staff } from './kit.ts'

const team = (name: string, more: object = {}) => [{ github: { team: `acme/${name}`, ...more } }]
const allowed = (name: string): StoredDecision => ({ kind: 'allow', rule: name })
const denied: StoredDecision = { kind: 'deny', code: 'policy_denied' }

const stored = (before: StoredDecision, more: Partial<StoredAsk> = {}): StoredAsk => ({
  identity: staff,
  ask: ask('web-1', 'deploy'),
  at: noon,
  address: '192.0.2.7',
  hasProof: false,
  lookUps: new Map(),
  before,
  ...more,
})

const again = (text: string, one: StoredAsk) => {
  const verdict = decideAgain(load(text), one)
  return { verdict, comparison: compareVerdict(one, verdict) }
}

describe('an ask is decided again', () => {
  test.each([
    ['as before', rules(rule('a')), allowed('a'), 'same'],
    ['by another rule', rules(rule('b')), allowed('a'), 'moved'],
    ['and refused', rules(rule('a', { hosts: ['db-1'] })), allowed('a'), 'refused'],
    ['and allowed', rules(rule('a')), denied, 'allowed'],
    ['refused as before, by whatever rule', rules(rule('x', { deny: 'no' })), denied, 'same'],
    ['where it was not decided', rules(rule('a')), { kind: 'error', code: 'frozen' }, 'undecided'],
  ] as const)('%s', (_name, text, before, comparison) => {
    expect(again(text, stored(before)).comparison).toBe(comparison)
  })

  test('by the time, the address and the proof that its entry tells of', () => {
    const one = stored(allowed('a'))
    const cases = [
      [{ when: { through: '2026-11-23', zone: 'UTC' } }, 'policy_denied'],
      [{ require: { callerAddresses: ['10.0.0.0/8'] } }, 'address_denied'],
      [{ require: { proof: true } }, 'proof_required'],
      [{ require: { mfa: true } }, 'mfa_required'],
    ] as const
    for (const [more, code] of cases) {
      expect(again(rules(rule('a', more)), one)).toMatchObject({
        comparison: 'refused',
        verdict: { kind: 'deny', code },
      })
    }
    expect(
      again(rules(rule('a', { require: { callerAddresses: ['192.0.2.0/24'] } })), one),
    ).toMatchObject({
      comparison: 'same',
    })
  })
})

describe('what an entry does not tell is unknown, and never allowed', () => {
  const maya = github('583231')
  const asked = (before: StoredDecision, lookUps: StoredAsk['lookUps'] = new Map()) =>
    stored(before, { identity: maya, lookUps })
  const active = (more: object = {}) => new Map([['team acme/dev', { isActive: true, ...more }]])

  test('a membership that was not asked about', () => {
    const text = rules(rule('dev', { who: team('dev') }))
    expect(again(text, asked(allowed('a')))).toEqual({
      comparison: 'unknown',
      verdict: { kind: 'unknown', missing: 'team acme/dev' },
    })
    expect(again(text, asked(allowed('a'), active())).comparison).toBe('moved')
    const none = new Map([['team acme/dev', { isActive: false }]])
    expect(again(text, asked(allowed('a'), none)).comparison).toBe('refused')
  })

  test('but where it makes no difference the answer is known', () => {
    const text = rules(
      rule('shut', { deny: 'no', who: ['everyone'], except: team('dev'), logins: ['deploy'] }),
      rule('ops', { who: team('ops') }),
    )
    const notInOps = new Map([['team acme/ops', { isActive: false }]])
    expect(again(text, asked(denied, notInOps))).toMatchObject({ comparison: 'unknown' })
    const two = rules(rule('x', { who: team('dev'), hosts: ['db-1'] }))
    expect(again(two, asked(denied)).comparison).toBe('same')
  })

  test('an id that older entries do not hold, where a rule is pinned to one', () => {
    const text = rules(rule('dev', { who: team('dev', { orgId: '7', teamId: '9' }) }))
    expect(again(text, asked(denied, active())).comparison).toBe('unknown')
    expect(again(text, asked(denied, active({ orgId: '7', teamId: '9' }))).comparison).toBe(
      'allowed',
    )
    expect(again(text, asked(denied, active({ orgId: '7', teamId: '8' }))).comparison).toBe('same')
  })

  test('how many a rule with a ceiling had issued', () => {
    const text = rules(rule('a', { maxPerHour: 5 }))
    expect(again(text, stored(allowed('a')))).toMatchObject({
      verdict: { kind: 'unknown', missing: 'how many rule a had issued in that hour' },
    })
    expect(again(text, stored({ ...allowed('a'), most: 5 })).comparison).toBe('same')
    expect(again(text, stored({ ...allowed('a'), most: 9 })).comparison).toBe('unknown')
    expect(
      again(text, stored({ kind: 'deny', code: 'quota_exceeded', rule: 'a' })).comparison,
    ).toBe('unknown')
    expect(
      again(rules(rule('a')), stored({ kind: 'deny', code: 'quota_exceeded', rule: 'a' }))
        .comparison,
    ).toBe('allowed')
  })

  test('whether what no policy decides would refuse it again', () => {
    const refused = { kind: 'deny', code: 'key_in_use' } as const
    expect(again(rules(rule('a')), stored(refused)).comparison).toBe('unknown')
  })

  test('more memberships than can be tried', () => {
    const who = Array.from({ length: 8 }, (_, at) => team(`t${at}`)[0])
    expect(again(rules(rule('a', { who })), asked(denied)).comparison).toBe('unknown')
  })
})

test('a replay counts, and names the rules that decided nothing', () => {
  const replay = createReplay(
    load(
      rules(
        rule('a'),
        rule('idle', { hosts: ['db-1'] }),
        rule('shut', { deny: 'no', logins: ['root'] }),
      ),
    ),
  )
  replay.add(stored(allowed('a')))
  replay.add(stored(denied))
  replay.add(stored(allowed('a'), { ask: ask('web-1', 'root') }))
  expect(replay.counts).toEqual({
    same: 1,
    refused: 1,
    allowed: 1,
    moved: 0,
    unknown: 0,
    undecided: 0,
  })
  expect(replay.listUnused().map(({ name }) => name)).toEqual(['idle'])
})
