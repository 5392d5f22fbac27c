import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  formatFinding,
  listPolicyFindings,
  type Surroundings,
} from '../../src/policy/findings/index.ts'
import { loadPolicy } from '../../src/policy/load.ts'
import { parse, rule, rules } from './kit.ts'
import { planted, sound } from './planted.ts'

const at = new Date('2026-11-24T12:00:00Z')

const find = (text: string, more: Partial<Surroundings> = {}): readonly string[] =>
  listPolicyFindings(parse(text), { at, ...more }).map(formatFinding)

describe('a planted mistake is named', () => {
  test('of forty or more', () => {
    expect(planted.length).toBeGreaterThanOrEqual(40)
    expect(new Set(planted.map(([name]) => name)).size).toBe(planted.length)
  })

  test.each(planted)('%s', (_, text, line) => {
    expect(find(text).filter((found) => line.test(found))).toHaveLength(1)
  })
})

describe('a sound policy', () => {
  test.each(Object.entries(sound))('of %s gets no remark', (_, text) => {
    expect(find(text)).toEqual([])
  })
})

describe('what gets no remark', () => {
  test('an exception before the rule it is an exception of', () => {
    const text = rules(rule('canary', { ttl: '2m' }), rule('all', { hosts: ['web-1', 'web-2'] }))
    expect(find(text)).toEqual([])
  })

  test('a rule that speaks by day before one for the rest of the time', () => {
    const when = { between: '08:00-18:00', zone: 'UTC' }
    expect(find(rules(rule('day', { when, ttl: '1h' }), rule('night')))).toEqual([])
  })

  test('rules for people who may or may not be the same', () => {
    const who = [{ oidc: { issuer: 'https://idp.example.com', groups: ['ops'] } }]
    expect(find(rules(rule('staff'), rule('ops', { who, ttl: '10m' })))).toEqual([])
  })

  test('the last day of an engagement, and the night after it', () => {
    const text = rules(rule('late', { when: { through: '2026-11-24', zone: 'UTC' } }))
    expect(find(text)).toEqual([])
    expect(find(text, { at: new Date('2026-11-28T00:00:00Z') })).toEqual([
      expect.stringMatching(
        /:2:\d+: warning: late ended with 2026-11-24; take the rule out, or set a new last day$/,
      ),
    ])
  })
})

describe('with a configuration', () => {
  const providers = { issuers: ['https://idp.example.com'], servers: [] }

  test('its issuers are known, and others are not', () => {
    expect(find(rules(rule('staff')), { providers })).toEqual([])
    const who = [{ oidc: { issuer: 'https://idp.exampel.com', groups: ['staff'] } }]
    expect(find(rules(rule('staff', { who })), { providers })).toEqual([
      expect.stringContaining(
        'warning: the configuration knows no issuer https://idp.exampel.com, so this names nobody; is it https://idp.example.com?',
      ),
    ])
  })

  test('a GitHub server without an app names nobody', () => {
    const who = [{ github: { id: '1' } }]
    expect(find(rules(rule('staff', { who })), { providers })).toEqual([
      expect.stringContaining('the configuration knows no GitHub app of github.com'),
    ])
  })
})

test('two thousand rules are looked through in good time', () => {
  const many = Array.from({ length: 2000 }, (_, at) =>
    rule(`r-${at}`, { hosts: [`h-${at}-*.example.com`] }),
  )
  const started = performance.now()
  expect(find(rules(...many))).toEqual([])
  expect(performance.now() - started).toBeLessThan(5000)
})

test('the example policies get no remark but on the one principal for a fleet that they show', async () => {
  const result = await loadPolicy(fileURLToPath(new URL('../../policies', import.meta.url)))
  expect(listPolicyFindings(result, { at }).map(formatFinding)).toEqual([
    expect.stringContaining(
      'principals: a certificate by ghe-git can open every host that trusts the CA',
    ),
  ])
})
