import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openConfiguredCopy } from '../../src/app/copy.ts'
import type { CopyPlace } from '../../src/config.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createTestConfig, startTestApp, type TestApp } from '../app.ts'
import { startCli, writeFiles } from '../cli/run.ts'
import { createService } from '../cli/service.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows } from '../fakes/entries.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'

const makeDirectory = useDirectories()

let idp: OidcIssuer
beforeAll(async () => {
  idp = await startOidcIssuer()
})
afterAll(() => idp.close())

const apps: TestApp[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})
const start = async (copy: CopyPlace) => {
  const checkpoints = join(makeDirectory(), 'checkpoints')
  const started = await startTestApp({ config: { audit: { checkpoints, copy } } })
  apps.push(started)
  return started
}

describe('a copy of the log', () => {
  test('in a file holds every entry, as the log has it', async () => {
    const path = join(makeDirectory(), 'copy.jsonl')
    const service = await start({ kind: 'file', path })
    expect((await service.ask('maya')).status).toBe(201)
    expect((await service.ask('sam')).status).toBe(403)
    const logged = await service.rows()
    const read = () => readFileSync(path, 'utf8').split('\n').slice(0, -1)
    await expect.poll(() => read().length).toBe(logged.length)
    expect(read().map((line) => JSON.parse(line))).toEqual(
      logged.map(({ entry, ...place }) => ({ v: 1, ...place, ...entry })),
    )
    expect(logged.map(({ entry }) => entry.type)).toEqual(['start', 'policy', 'allow', 'deny'])
    const { checks } = (await (await service.request('/readyz')).json()) as {
      readonly checks: readonly unknown[]
    }
    expect(checks).toContainEqual({ name: 'copy', ok: true })
  })

  test('on a full disk stops nothing, and is loud', async () => {
    const service = await start({ kind: 'file', path: '/dev/full' })
    for (let n = 0; n < 3; n++) expect((await service.ask('maya')).status).toBe(201)
    const ready = await service.request('/readyz')
    expect(ready.status).toBe(200)
    const answer = (await ready.json()) as { readonly checks: readonly unknown[] }
    expect(answer).toMatchObject({ status: 'degraded' })
    expect(answer.checks).toContainEqual({ name: 'copy', ok: false })
    const loud = service.lines.map((line) => JSON.parse(line)).filter(({ copy }) => copy)
    expect(loud).toEqual([
      expect.objectContaining({
        level: 'error',
        reason: 'ENOSPC',
        copy: { kind: 'file', path: '/dev/full' },
        msg: 'the copy of the log is behind; certificates are issued',
      }),
    ])
  })

  test('on stdout waits for a reader without holding anything up, and counts its failures', async () => {
    const written: string[] = []
    const answers: ((error?: Error) => void)[] = []
    const lines: string[] = []
    const metrics = createMetrics(false)
    const store = createFakeStore()
    const config = createTestConfig(makeDirectory(), idp.issuer)
    const copy = await openConfiguredCopy({
      config: { ...config, audit: { ...config.audit, copy: { kind: 'stdout' } } },
      store,
      logger: createLogger('info', { write: (line) => lines.push(line) }),
      metrics,
      monotonic: () => 0,
      stdout: {
        write(text, done) {
          written.push(text)
          answers.push(done)
        },
        on: () => {},
      },
    })
    const rows = chainRows([allowEntry(1), allowEntry(2)])
    await store.append(rows, undefined)
    copy?.onWritten(rows.slice(0, 1))
    copy?.onWritten(rows.slice(1))
    await expect.poll(() => written.length).toBe(1)
    answers[0]?.(Object.assign(new Error('gone'), { code: 'EPIPE' }))
    await expect.poll(() => copy?.check()).toEqual({ ok: false, reason: 'EPIPE' })
    expect(await metrics.format()).toContain('postern_audit_copy_failures_total 1\n')
    // What the failed write may have left stands in a line of its own.
    await expect.poll(() => written.length, { timeout: 3000 }).toBe(2)
    expect(written[1]).toMatch(/^\n\{"hash":/)
    answers[1]?.()
    await copy?.close()
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(['error', 'warn'])
  })

  test('on stdout stands beside the ready line, an entry a line', async () => {
    const cwd = await createService(idp.issuer)
    const config = readFileSync(join(cwd, 'postern.yaml'), 'utf8')
    writeFiles(cwd, { 'postern.yaml': `${config}audit: { copy: stdout }\n` })
    const { child, ended } = startCli(['serve'], { cwd })
    let text = ''
    const ready = new Promise<void>((resolve) => {
      child.stdout?.on('data', (bytes: Buffer) => {
        text += bytes.toString()
        if (text.includes('postern: ready on ')) resolve()
      })
    })
    await ready
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
    const lines = text.split('\n').slice(0, -1)
    expect(lines.filter((line) => line.startsWith('postern: ready on '))).toHaveLength(1)
    const entries = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
    expect(entries.map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'start'],
      [2, 'policy'],
    ])
  })
})
