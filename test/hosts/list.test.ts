import { describe, expect, test } from 'vitest'
import type { EnrolledHost, ListedHost } from '../../src/hosts/index.ts'
import { listKnownHosts } from '../../src/hosts/known-hosts.ts'
import { createHosts } from '../../src/hosts/list.ts'
import { formatAge, formatSummary } from '../../src/hosts/summary.ts'

const listed = (name: string, more: Partial<ListedHost> = {}): ListedHost => ({
  name,
  aliases: [],
  labels: {},
  logins: [],
  hostKeys: [],
  ...more,
})
const enrolled = (name: string, more: Partial<EnrolledHost> = {}): EnrolledHost => ({
  name,
  port: 22,
  logins: ['deploy'],
  hostKeys: ['ssh-ed25519 OWN'],
  enrolledAt: '2026-11-22T10:00:00Z',
  ...more,
})
const compose = (
  hosts: readonly ListedHost[],
  own: readonly EnrolledHost[] = [],
  removed: readonly string[] = [],
) =>
  createHosts({
    listed: () => hosts,
    enrolled: new Map(own.map((host) => [host.name, host])),
    isRemoved: (name) => removed.includes(name),
    reports: new Map(),
  })

describe('the list of hosts', () => {
  test('takes what the policy names, and the rest from the enrolment', () => {
    const web = listed('web-1', { labels: { env: 'prod' }, logins: ['root'], port: 2222 })
    const hosts = compose([web], [enrolled('web-1', { port: 22 })])
    expect(hosts.find('web-1')).toEqual({
      name: 'web-1',
      aliases: [],
      port: 2222,
      labels: { env: 'prod' },
      logins: ['root'],
      hostKeys: ['ssh-ed25519 OWN'],
      source: 'enrolled',
      enrolledAt: '2026-11-22T10:00:00Z',
    })
  })

  test('finds a host by its alias, and a name goes before another’s alias', () => {
    const hosts = compose([listed('web-1', { aliases: ['shop', 'db-1'] })], [enrolled('db-1')])
    expect(hosts.find('shop')?.name).toBe('web-1')
    expect(hosts.resolve('shop')).toBe('web-1')
    expect(hosts.find('db-1')?.name).toBe('db-1')
    expect(hosts.resolve('db-1')).toBe('db-1')
    expect(hosts.resolve('mail')).toBe('mail')
    expect(hosts.has('shop')).toBe(false)
  })

  test('opens no login of a host that enrolled and was taken off, also where the policy has some', () => {
    const hosts = compose([listed('web-1', { logins: ['root'] })], [], ['web-1', 'web-2'])
    expect(hosts.find('web-1')).toMatchObject({ source: 'policy', logins: [] })
    expect(hosts.find('web-2')).toBeUndefined()
  })

  test('is that of the policy in force, also where it has changed', () => {
    let current = [listed('web-1')]
    const hosts = createHosts({
      listed: () => current,
      enrolled: new Map(),
      isRemoved: () => false,
      reports: new Map(),
    })
    expect(hosts.list().map(({ name }) => name)).toEqual(['web-1'])
    current = [listed('web-2'), listed('a')]
    expect(hosts.list().map(({ name }) => name)).toEqual(['a', 'web-2'])
    expect(hosts.find('web-1')).toBeUndefined()
  })
})

test('a port other than 22 stands behind brackets in known_hosts, 22 does not', () => {
  const hosts = compose([
    listed('a', { aliases: ['b'], address: '2001:db8::17', port: 2222, hostKeys: ['ssh-rsa K'] }),
    listed('c', { hostKeys: ['ssh-rsa K'] }),
  ])
  expect(hosts.list().flatMap(listKnownHosts)).toEqual([
    '[a]:2222,[b]:2222,[2001:db8::17]:2222 ssh-rsa K',
    'c ssh-rsa K',
  ])
})

test.each([
  [0, '0 s'],
  [59, '59 s'],
  [60, '1 min'],
  [3 * 3600 + 3599, '3 h'],
  [86_400, '1 d'],
])('%i seconds are %s', (seconds, text) => {
  expect(formatAge(0, new Date(seconds * 1000))).toBe(text)
})

test('the summary names the first few that are late', () => {
  const at = new Date('2026-11-22T14:00:00Z')
  const hosts = Array.from({ length: 98 }, (_, n) => ({
    ...(compose([], [enrolled(`h-${n}`)]).find(`h-${n}`) as NonNullable<object>),
    name: `h-${n}`,
    lastSeen: '2026-11-22T10:00:00Z',
    trustVersion: n === 3 ? 41 : 42,
    wantedVersion: 42,
  })) as unknown as Parameters<typeof formatSummary>[0]
  expect(formatSummary(hosts, at)).toBe(
    '97 of 98 hosts have the newest trust bundle; h-3 last seen 4 h ago.',
  )
})
