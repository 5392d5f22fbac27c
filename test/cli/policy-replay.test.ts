import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/audit/index.ts'
import { openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, denyEntry, startEntry } from '../fakes/entries.ts'
import { runCli, writeFiles } from './run.ts'

const createDirectory = useDirectories()

const policy = (hosts: string) => `rules:
  - name: deploy-job
    who: [{ oidc: { issuer: https://idp.example.com, groups: [platform] } }]
    hosts: [${hosts}]
    logins: [deploy]
    ttl: 5m
  - name: idle
    who: [{ oidc: { issuer: https://idp.example.com, groups: [nobody] } }]
    hosts: ["*"]
    logins: [root]
    ttl: 5m
`

const setUp = async (entries: readonly Entry[]) => {
  const cwd = createDirectory()
  await runCli(['init'], { cwd })
  writeFiles(cwd, {
    'new/a.yaml': policy('web-1.example.com'),
    'wide/a.yaml': policy('"*.example.com"'),
  })
  writeFiles(cwd, { 'data/.keep': '' })
  const store = await openStore(join(cwd, 'data', 'postern.db'))
  await store.append(chainRows(entries), undefined)
  await store.close()
  return cwd
}

const { identity, ask } = allowEntry(3)
const entries = [
  startEntry,
  allowEntry(1, { time: '2020-01-01T00:00:00Z' }),
  allowEntry(1, { certificate: { ...allowEntry(1).certificate, serial: '77' } }),
  allowEntry(2),
  denyEntry(3, { identity, ask }),
  denyEntry(4),
]
const replay = (cwd: string, ...argv: readonly string[]) =>
  runCli(['policy', 'replay', ...argv, '--since', '2026-01-01'], { cwd })

describe('postern policy replay', () => {
  test('says what would end otherwise, with person, host, and the rule before and after', async () => {
    const cwd = await setUp(entries)
    const { code, stdout, stderr } = await replay(cwd, 'new')
    expect(stdout).toBe(`1 of 3 would now be refused
0 of 3 would now be allowed
2 of 3 would end as they did
what     #  time                  who         login@host                before               after
refused  4  2026-11-22T10:00:00Z  maya (u-2)  deploy@web-2.example.com  allow by deploy-job  policy_denied
rule idle (a.yaml:7) decides none of them
`)
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'note: asks since 2026-01-01T00:00:00Z\n' })
  })

  test('exits 0 where nothing ends otherwise, and says the same in JSON', async () => {
    const cwd = await setUp(entries.slice(0, 4))
    const { code, stdout } = await replay(cwd, 'wide', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      asks: 2,
      counts: { same: 2, refused: 0, allowed: 0, unknown: 0 },
      findings: [],
      unused: [{ name: 'idle', file: 'a.yaml', line: 7 }],
    })
  })

  test('counts refusals that stand in the log as a number only', async () => {
    const flood: Entry = {
      type: 'refusals',
      time: '2026-11-22T10:01:00Z',
      since: '2026-11-22T10:00:00Z',
      count: 41,
      codes: { policy_denied: 41 },
      people: { others: 41 },
      addresses: { others: 41 },
    }
    const cwd = await setUp([...entries, flood])
    const { stderr } = await replay(cwd, 'new')
    expect(stderr).toContain(
      'note: 41 refusals of floods stand in the log as numbers only, and are unknown\n',
    )
  })

  test('shows on a terminal how far it is', async () => {
    const cwd = await setUp(entries)
    const { stderr } = await runCli(['policy', 'replay', 'new', '--since', '2026-01-01'], {
      cwd,
      isTTY: true,
    })
    expect(stderr).toMatch(/\[[#-]{30}\] \d+%, 3 asks/)
  })

  test('refuses a policy that does not load before anything is read', async () => {
    const cwd = await setUp(entries)
    writeFiles(cwd, { 'bad/a.yaml': 'rules: 1' })
    expect(await replay(cwd, 'bad')).toMatchObject({ code: 1, stdout: '' })
  })
})
