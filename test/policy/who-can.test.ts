import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { listEntries } from '../../src/policy/diff.ts'
import { createMatcher } from '../../src/policy/match.ts'
import type { PolicyResult } from '../../src/policy/parse.ts'
import { createExample, isAlso, joinPersons } from '../../src/policy/people.ts'
import { findReach, listReach } from '../../src/policy/reach.ts'
import { findHolding, listHolders } from '../../src/policy/who-can.ts'
import { anyPolicy, anyQuestion, withNames } from './arbitraries.ts'
import { issuer, noon, oidc, parse, rule, rules } from './kit.ts'
import { decideNaively, type NaiveMap, type NaiveQuestion } from './naive.ts'

type Loaded = Extract<PolicyResult, { readonly ok: true }>

const load = (text: string): Loaded => {
  const result = parse(text)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result
}

/** The allow rule that decides, whatever it asks for; undefined where a rule denies, or none is found. */
const findRule = (file: NaiveMap, question: NaiveQuestion): string | undefined => {
  const name = decideNaively(file, question).rule
  const found = (file['rules'] as readonly NaiveMap[]).find((one) => one['name'] === name)
  return found === undefined || 'deny' in found ? undefined : name
}

const hosts = ['web-1', 'web-33', 'db-1', 'a.web-1']
const logins = ['deploy', 'root', 'rory']

const crew = { github: { team: 'acme/crew' } }
const dev = { github: { team: 'acme/dev' } }
/** Policies that a run once found: whoever is spared by one rule and named by another was told wrongly. */
const found: readonly [NaiveMap, string, string][] = [
  [
    withNames([
      {
        deny: 'no',
        who: [dev, crew],
        hosts: ['web-1'],
        logins: ['*'],
        except: [dev],
      },
      {
        who: [{ github: { org: 'acme' } }],
        hosts: ['web-1'],
        logins: ['deploy'],
        ttl: '5m',
      },
    ]),
    'web-1',
    'deploy',
  ],
  [
    withNames([
      { who: [dev], hosts: ['*-1'], logins: ['deploy'], ttl: '5m' },
      {
        deny: 'no',
        who: [{ github: { id: '1', team: 'acme/dev' } }],
        hosts: ['db-1'],
        logins: ['*'],
        except: [dev],
      },
      {
        deny: 'no',
        who: [{ github: { orgId: '7', teamId: '91' } }],
        hosts: ['*-1'],
        logins: ['*'],
      },
    ]),
    'db-1',
    'deploy',
  ],
]

describe('who can', () => {
  test('names the same people, times and rules as a second evaluator that tries them', () => {
    let held = 0
    fc.assert(
      fc.property(
        anyPolicy,
        fc.constantFrom(...hosts),
        fc.constantFrom(...logins),
        (file, host, login) => {
          const loaded = load(JSON.stringify(file))
          const { places, people, spots, isWhole } = findHolding(loaded, host, login)
          expect(isWhole).toBe(true)
          const one = people.list(listEntries(loaded))
          const two = one.flatMap((a) => one.flatMap((b) => joinPersons(a, b) ?? []))
          for (const person of two) {
            // A login that a claim names is named by nobody of these.
            const example = createExample(person)
            for (const [at, instant] of places.instants.entries()) {
              const question = { ...example, ask: { host, login }, at: instant.at }
              const wanted = findRule(file, question)
              const found = spots.filter(
                (spot) =>
                  spot.instants.includes(at) &&
                  isAlso(person, spot.person) &&
                  !spot.unless.some((other) => isAlso(person, other)),
              )
              const names = new Set(found.map(({ change }) => change.after?.name))
              // By another rule where somebody is named by several, but never where nobody may.
              expect(names.size > 0).toBe(wanted !== undefined)
              if (wanted !== undefined) {
                held++
                expect(names).toContain(wanted)
              }
            }
          }
        },
      ),
      { numRuns: 80, examples: [...found] },
    )
    expect(held).toBeGreaterThan(100)
  })

  const text = `${rules(
    rule('nobody-by-night', {
      deny: 'not by night',
      who: ['everyone'],
      except: [{ oidc: { issuer, groups: ['oncall'] } }],
      hosts: ['*'],
      logins: ['root'],
      when: { between: '18:00-08:00', zone: 'UTC' },
    }),
    rule('ops', {
      who: [{ github: { team: 'acme/ops' } }, { oidc: { issuer, groups: ['ops', 'oncall'] } }],
      hosts: ['db-*'],
      logins: ['root', 'deploy'],
      require: { mfa: '15m', reason: { minLength: 10 } },
      commands: { dump: '/bin/dump' },
    }),
    rule('others', { hosts: ['web-*'], logins: ['root'] }),
  )}`

  test('is said in words, by rule, with deny rules and what is asked for', () => {
    const needs = [
      'a login with a second factor within the last 15m',
      'a reason with at least 10 characters',
      'one of the commands dump',
    ]
    const ref = { name: 'ops', file: 'policy.yaml', line: 3 }
    const { holders, isWhole } = listHolders(load(text), 'db-1', 'root')
    expect(isWhole).toBe(true)
    expect(holders).toEqual([
      { people: [`group oncall of ${issuer}`], rule: ref, needs },
      {
        people: ['team acme/ops', `group ops of ${issuer}`],
        rule: ref,
        needs,
        when: 'not between 18:00 and 08:00 (UTC)',
      },
    ])
    expect(listHolders(load(text), 'db-1', 'deploy').holders).toEqual([
      {
        people: ['team acme/ops', `group oncall of ${issuer}`, `group ops of ${issuer}`],
        rule: ref,
        needs,
      },
    ])
    expect(listHolders(load(text), 'mail-1', 'root').holders).toEqual([])
  })
})

describe('reach', () => {
  test('names the same hosts, logins and rules as a second evaluator that tries them', () => {
    let held = 0
    fc.assert(
      fc.property(anyPolicy, anyQuestion, (file, { identity, memberships, at }) => {
        const { policy } = load(JSON.stringify(file))
        const answers = [
          ...['acme'].map(
            (org) => ['org acme', memberships.orgs.some((one) => one.login === org)] as const,
          ),
          ...['dev', 'ops', 'crew'].map(
            (slug) =>
              [`team acme/${slug}`, memberships.teams.some((one) => one.slug === slug)] as const,
          ),
        ]
        const lookUps = new Map(
          answers.map(([question, isActive]) => {
            const team = memberships.teams.find(({ slug }) => question.endsWith(slug))
            return [
              question,
              isActive ? { isActive, orgId: '7', teamId: team?.id ?? '' } : { isActive },
            ]
          }),
        )
        const reach = findReach(policy, { identity, lookUps }, at)
        expect(reach.isWhole).toBe(true)
        if (reach.unknown.length > 0) return
        for (const host of hosts) {
          const matches = reach.patterns.flatMap(({ text, crossDots }, index) =>
            createMatcher(text, { crossDots })(host) ? [index] : [],
          )
          for (const login of logins) {
            const wanted = findRule(file, { identity, memberships, at, ask: { host, login } })
            const found = [...reach.found].flatMap(([{ ref }, byLogin]) =>
              (byLogin.get(login) ?? []).some((one) => `${one.matches}` === `${matches}`)
                ? [ref.name]
                : [],
            )
            if (wanted !== undefined) held++
            expect(found).toEqual(wanted === undefined ? [] : [wanted])
          }
        }
      }),
      { numRuns: 200 },
    )
    expect(held).toBeGreaterThan(100)
  })

  test('says what is asked for, and what nobody knows', () => {
    const text = rules(
      rule('staff', { hosts: ['web-*'], require: { proof: true }, maxPerHour: 3 }),
      rule('own', { hosts: ['dev-1'], logins: [{ claim: 'unix' }] }),
    )
    const person = oidc('u-1', { groups: ['staff'], claims: { unix: 'maya' } })
    const { policy } = load(text)
    expect(listReach(policy, { identity: person, lookUps: new Map() }, noon)).toEqual({
      reached: [
        {
          hosts: ['web-*'],
          logins: ['deploy'],
          rule: { name: 'staff', file: 'policy.yaml', line: 2 },
          needs: ['a proof of possession'],
        },
        {
          hosts: ['dev-1'],
          logins: ['maya'],
          rule: { name: 'own', file: 'policy.yaml', line: 3 },
          needs: [],
        },
      ],
      unknown: [],
      isWhole: true,
    })
    const github = load(rules(rule('team', { who: [{ github: { team: 'acme/dev' } }] }))).policy
    const sam = { identity: { ...person, kind: 'github', issuer: 'https://github.com' } as const }
    expect(listReach(github, { ...sam, lookUps: new Map() }, noon)).toEqual({
      reached: [],
      unknown: ['team acme/dev'],
      isWhole: true,
    })
  })
})
