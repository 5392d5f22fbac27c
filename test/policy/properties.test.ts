import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expandPrincipals } from '../../src/policy/conditions.ts'
import { ask, decide, issuer, load, oidc, rule, rules } from './kit.ts'

const groups = ['a', 'b', 'c'] as const
const who = fc
  .subarray([...groups], { minLength: 1 })
  .map((names) => [{ oidc: { issuer, groups: names } }])
const hosts = fc.subarray(['web-1', 'web-2', 'web-*', '*'], { minLength: 1 })
const logins = fc.subarray(['deploy', 'root'], { minLength: 1 })
const allow = fc.record({ who, hosts, logins })
const deny = fc.record({ who, hosts, logins, deny: fc.constant('no') })

const person = fc.subarray([...groups]).map((names) => oidc('u', { groups: names }))
const wanted = fc
  .tuple(fc.constantFrom('web-1', 'web-2', 'db-1'), fc.constantFrom('deploy', 'root', 'ops'))
  .map(([host, login]) => ask(host, login))

const write = (parts: readonly Readonly<Record<string, unknown>>[]) =>
  rules(...parts.map((part, at) => rule(`r${at}`, part)))

describe('for any rules', () => {
  test('a deny rule overrides every allow rule, wherever it stands [ATTACKS 155]', () => {
    fc.assert(
      fc.property(
        fc.array(allow, { maxLength: 4 }),
        fc.array(deny, { minLength: 1, maxLength: 3 }),
        person,
        wanted,
        (allows, denies, identity, one) => {
          const alone = decide(load(write(denies)), identity, one)
          const isDenied = alone.rule !== undefined
          const without = decide(load(write(allows)), identity, one)
          for (const parts of [
            [...denies, ...allows],
            [...allows, ...denies],
          ]) {
            const decision = decide(load(write(parts)), identity, one)
            expect(decision.kind).toBe(isDenied ? 'deny' : without.kind)
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  test('the order of the deny rules changes no decision', () => {
    fc.assert(
      fc.property(
        fc.array(deny, { minLength: 2, maxLength: 4 }),
        fc.array(allow, { maxLength: 2 }),
        person,
        wanted,
        (denies, allows, identity, one) => {
          const forward = decide(load(write([...denies, ...allows])), identity, one)
          const backward = decide(load(write([...denies.toReversed(), ...allows])), identity, one)
          expect(backward.kind).toBe(forward.kind)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('the same question has the same answer, and one more deny rule never allows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(allow, deny), { maxLength: 5 }),
        deny,
        person,
        wanted,
        (parts, more, identity, one) => {
          const text = write(parts)
          const first = decide(load(text), identity, one)
          expect(decide(load(text), identity, one)).toEqual(first)
          const stricter = decide(load(write([...parts, more])), identity, one)
          if (first.kind === 'deny') expect(stricter.kind).toBe('deny')
        },
      ),
      { numRuns: 100 },
    )
  })

  test('an allow names the host and the login that were asked for, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.array(allow, { minLength: 1, maxLength: 4 }),
        person,
        wanted,
        (parts, identity, one) => {
          const decision = decide(load(write(parts)), identity, one)
          if (decision.kind === 'deny') return
          expect(decision.grant.principals).toEqual([`${one.login}@${one.host}`])
          const deciding = parts[Number(decision.rule.name.slice(1))]
          expect(deciding?.logins).toContain(one.login)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('principals are the templates filled in one by one, sorted and each once', () => {
    const template = fc
      .array(fc.constantFrom('{login}', '{host}', '{login}@{host}', '@', 'ops', ':', '{', 'login}'))
      .map((parts) => parts.join(''))
    // Names that no ask can have, too: nothing of theirs is taken for a placeholder or a pattern.
    const name = fc.constantFrom('deploy', 'web-1', '{host}', '{login}', '$&', '')
    fc.assert(
      fc.property(fc.array(template, { maxLength: 5 }), name, name, (templates, host, login) => {
        const filled = templates.map((text) =>
          text.replaceAll(/\{login\}|\{host\}/g, (found) => (found === '{host}' ? host : login)),
        )
        expect(expandPrincipals(templates, { host, login })).toEqual([...new Set(filled)].sort())
      }),
    )
  })
})
