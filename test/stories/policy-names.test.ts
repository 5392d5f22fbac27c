import { describe, expect, test } from 'vitest'
import { ask, github, load, member, rule, rules, say } from '../policy/kit.ts'

/**
 * Names are given up and taken by others: a user renames themselves and somebody registers the old
 * login; an organisation is renamed and squatted (hashicorp/vault 13332); a team's display name is set to
 * look like another's (CVE-2026-41053, JENKINS-34835). The number stays with whom it was given to.
 */
const web = ask('web-1', 'deploy')
const refused =
  'no: No rule lets you log in to web-1 as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.'

describe('a name that has changed hands', () => {
  test('of a user opens nothing: the id decides [ATTACKS 121, 125]', () => {
    const policy = load(rules(rule('a', { who: [{ github: { id: '583231', login: 'alice' } }] })))
    expect(say(policy, github('583231', { name: 'alice' }), web)).toBe('a')
    expect(say(policy, github('583231', { name: 'Alice-Renamed' }), web)).toBe('a')
    for (const name of ['alice', 'Alice', 'aIice', 'alice[bot]', 'alice_corp']) {
      expect(say(policy, github('999', { name }), web)).toBe(refused)
    }
  })

  test('of an organisation opens nothing where its id is pinned [ATTACKS 122]', () => {
    const policy = load(rules(rule('a', { who: [{ github: { org: 'acme', orgId: '7' } }] })))
    expect(say(policy, github('1'), web, { memberships: member('acme=7') })).toBe('a')
    expect(say(policy, github('1'), web, { memberships: member('acme=8') })).toBe(refused)
  })

  test('of a team opens nothing: the slug decides, and its id where it is pinned [ATTACKS 123]', () => {
    const policy = load(rules(rule('a', { who: [{ github: { team: 'acme/ops', teamId: '5' } }] })))
    expect(say(policy, github('1'), web, { memberships: member('acme/ops=5') })).toBe('a')
    for (const other of ['acme/ops=6', 'acme/Ops=5', 'acme/ops-2=5', 'evil/ops=5']) {
      expect(say(policy, github('1'), web, { memberships: member(other) })).toBe(refused)
    }
  })
})
