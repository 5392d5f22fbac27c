import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { AllowEntry } from '../../src/audit/index.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { formatRolePolicy } from './admin.ts'

let service: TestApp
afterEach(() => service.close())

/** Generous: that it takes no second is what test/policy/watch.test.ts measures. */
const within = { timeout: 8_000, interval: 20 }

const writePolicy = (name: string, text: string) => {
  const path = join(service.config.policyDir, name)
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

const formatRule = (issuer: string, name: string, ttl: string) => `rules:
  - name: ${name}
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: ${ttl}
`

// ATTACKS 157
test('each of 200 requests in flight is decided by one policy, the one its entry names', async () => {
  const signer = createMemorySigner()
  // Slow, so that many are in flight at each swap.
  const sign = async (data: Uint8Array) => {
    await setTimeout(100)
    return signer.sign(data)
  }
  service = await startTestApp({
    policies: (issuer) => ({ 'a.yaml': formatRule(issuer, 'minute', '1m') }),
    config: { limits: { perAddress: 'off', perIdentity: 'off', inFlight: 256 } },
    overrides: { store: createFakeStore(), signer: { ...signer, sign } },
  })
  const { issuer } = service.issuer
  let isDone = false
  const swapping = (async () => {
    for (let turn = 1; !isDone; turn += 1) {
      const [name, ttl] = turn % 2 === 1 ? (['pair', '2m'] as const) : (['minute', '1m'] as const)
      writePolicy('a.yaml', formatRule(issuer, name, ttl))
      await service.app.reload()
    }
  })()
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, at) => {
      await setTimeout(at * 6)
      return (await (await service.ask('maya')).json()) as { rule: string; serial: string }
    }),
  )
  isDone = true
  await swapping

  const entries = (await service.rows()).map(({ entry }) => entry)
  const rules = new Map(
    entries.flatMap((entry) =>
      entry.type === 'policy' && entry.files !== undefined
        ? [[entry.policy, /name: (\w+)/.exec(entry.files['a.yaml'] ?? '')?.[1]] as const]
        : [],
    ),
  )
  const allowed = entries.filter((entry): entry is AllowEntry => entry.type === 'allow')
  expect(rules.size).toBe(2)
  expect(allowed).toHaveLength(200)
  for (const { policy = '', rule, certificate } of allowed) {
    expect(rule.name).toBe(rules.get(policy))
    const millis = Date.parse(certificate.validBefore) - Date.parse(certificate.validAfter)
    // The backdate of a minute comes before the ttl.
    expect(millis / 60_000).toBe(rule.name === 'minute' ? 2 : 3)
    expect(answers.find(({ serial }) => serial === certificate.serial)?.rule).toBe(rule.name)
  }
  expect(new Set(allowed.map(({ rule }) => rule.name))).toEqual(new Set(['minute', 'pair']))
})

// ATTACKS 156
describe('policy files that no longer load', () => {
  test('leave the last good policy in force: seen in /readyz, a metric, an entry and /v1/policy', async () => {
    service = await startTestApp({
      policies: formatRolePolicy,
      config: { metrics: { listen: { kind: 'tcp', host: '127.0.0.1', port: 0 } } },
      overrides: { store: createFakeStore() },
    })
    const { metricsUrl } = await service.app.listen()
    const readMetrics = async () => {
      const text = await (await fetch(`${metricsUrl}/metrics`)).text()
      return text.split('\n').filter((line) => line.startsWith('postern_policy_'))
    }
    const readReady = async () => {
      const response = await service.request('/readyz')
      const { status, checks } = (await response.json()) as {
        status: string
        checks: readonly { name: string }[]
      }
      return { code: response.status, status, policy: checks.find(({ name }) => name === 'policy') }
    }
    const readPolicy = async () => {
      const headers = { authorization: `Bearer ${await service.token()}` }
      const response = await service.request('/v1/policy', { headers })
      return (await response.json()) as { sha256: string; problems: readonly unknown[] }
    }
    const { sha256, problems } = await readPolicy()
    expect(problems).toEqual([])
    expect(await readMetrics()).toEqual([
      expect.stringMatching(new RegExp(`^postern_policy_loaded\\{sha256="${sha256}"\\} \\d{10}$`)),
      'postern_policy_reload_failures_total 0',
    ])

    writePolicy('b.yaml', 'rules:\n  - nmae: x\n')
    await vi.waitFor(async () => expect((await readReady()).status).toBe('degraded'), within)
    expect(await readReady()).toEqual({
      code: 200,
      status: 'degraded',
      policy: {
        name: 'policy',
        ok: false,
        reason:
          'The policy files as they are now do not load, and the last good policy stays in force: run `postern policy check`.',
      },
    })
    const bad = await readPolicy()
    expect(bad.sha256).toBe(sha256)
    expect(bad.problems.length).toBeGreaterThan(0)
    const failure = (await service.rows()).at(-1)?.entry
    expect(failure).toMatchObject({
      type: 'policy-error',
      policy: sha256,
      problems: bad.problems,
      count: bad.problems.length,
    })
    expect(bad.problems[0]).toMatchObject({ file: 'b.yaml', line: 2 })
    expect((await service.ask('maya')).status).toBe(201)
    expect((await service.rows()).at(-1)?.entry).toMatchObject({ type: 'allow', policy: sha256 })
    expect(await readMetrics()).toContain('postern_policy_reload_failures_total 1')

    writePolicy('b.yaml', formatRule(service.issuer.issuer, 'more', '1m'))
    await vi.waitFor(async () => expect((await readReady()).status).toBe('ok'), within)
    const next = await readPolicy()
    expect(next.problems).toEqual([])
    expect(next.sha256).not.toBe(sha256)
    expect((await service.rows()).at(-1)?.entry).toMatchObject({
      type: 'policy',
      policy: next.sha256,
      rules: 2,
    })
    const loaded = (await readMetrics()).filter((line) => line.startsWith('postern_policy_loaded'))
    expect(loaded).toEqual([expect.stringContaining(next.sha256)])
  })

  test('of which thousands of lines are wrong, are an entry with the first twenty', async () => {
    service = await startTestApp({ overrides: { store: createFakeStore() } })
    const lines = Array.from({ length: 1_000 }, (_, at) => `  - name: Bad ${at}\n`)
    writePolicy('b.yaml', `rules:\n${lines.join('')}`)
    await service.app.reload()
    const { entry } = (await service.rows()).at(-1) ?? {}
    if (entry?.type !== 'policy-error') throw new Error('not a policy-error')
    expect(entry.problems).toHaveLength(20)
    expect(entry.count).toBeGreaterThanOrEqual(1_000)
  })
})

test('a policy that cannot be recorded waits, and is counted', async () => {
  const store = createFakeStore()
  service = await startTestApp({ overrides: { store } })
  const before = (await service.rows()).at(-1)?.entry.policy
  store.breakNext('lose')
  writePolicy('b.yaml', formatRule(service.issuer.issuer, 'more', '1m'))
  await service.app.reload()
  expect(service.lines.join('')).toContain('the new policy cannot be recorded')
  expect((await service.ask('maya')).status).toBe(201)
  expect((await service.rows()).at(-1)?.entry).toMatchObject({ type: 'allow', policy: before })
  await service.app.reload()
  expect((await service.rows()).at(-1)?.entry).toMatchObject({ type: 'policy', rules: 2 })
})

test('a role that is taken away is gone with the file that gave it', async () => {
  service = await startTestApp({
    policies: formatRolePolicy,
    overrides: { store: createFakeStore() },
  })
  const isAdmin = async () => {
    const headers = { authorization: `Bearer ${await service.token()}` }
    return (await service.request('/v1/policy', { headers })).status
  }
  expect(await isAdmin()).toBe(200)
  writePolicy('a.yaml', formatRule(service.issuer.issuer, 'deploy', '1m'))
  await vi.waitFor(async () => expect(await isAdmin()).toBe(403), within)
})
