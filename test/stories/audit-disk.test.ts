import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import type { Store } from '../../src/audit/store.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { openConnection } from '../../src/store/connection.ts'
import { openStore } from '../../src/store/index.ts'
import { createSqlite } from '../../src/store/sqlite.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry } from '../fakes/entries.ts'
import { run } from '../fakes/process.ts'

const makeDirectory = useDirectories()
const unmounts: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const unmount of unmounts) await unmount()
})

/** A store on a disk that fills up and empties on command. */
interface Disk {
  readonly store: Store
  fill(): void
  empty(): void
}

/** SQLite's own limit: the same error without a disk. */
const openLimited = async (): Promise<Disk> => {
  const connection = await openConnection(join(makeDirectory(), 'postern.db'))
  const limit = (pages: unknown) => connection.pragma(`max_page_count = ${pages}`, { simple: true })
  return {
    store: createSqlite(connection),
    fill: () => void limit(connection.pragma('page_count', { simple: true })),
    empty: () => void limit(1_000_000),
  }
}

/** A file system of 2 MiB, and the store in its thread on it. */
const openSmallDisk = async (): Promise<Disk> => {
  const path = join(makeDirectory(), 'disk')
  mkdirSync(path)
  await run('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=0700', 'tmpfs', path])
  unmounts.push(() => run('umount', ['--lazy', path]))
  const ballast = join(path, 'ballast')
  return {
    store: await openStore(join(path, 'postern.db')),
    fill: () => {
      const more = () => writeFileSync(ballast, new Uint8Array(4 * 1024 * 1024))
      expect(more).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    },
    empty: () => rmSync(ballast),
  }
}

/** CAP_SYS_ADMIN, bit 21 (capabilities(7)): without it no file system can be mounted, even by root. */
const mayMount =
  process.platform === 'linux' &&
  (Number.parseInt(
    /CapEff:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0',
    16,
  ) /
    2 ** 21) %
    2 >=
    1

const disks: readonly { readonly name: string; readonly open: () => Promise<Disk> }[] = [
  { name: 'at the limit of its pages', open: openLimited },
  ...(mayMount ? [{ name: 'on a full file system', open: openSmallDisk }] : []),
]

describe('the disk is full', () => {
  // ATTACKS 191
  test.each(disks)('and everyone is refused until there is room again, $name', async ({ open }) => {
    const { store, fill, empty } = await open()
    const log = await createLog({ store })
    const acknowledged: number[] = []
    const write = async (n: number) => acknowledged.push((await log.append(allowEntry(n))).seq)

    for (let n = 0; n < 50; n++) await write(n)
    fill()
    // Pages and a write-ahead log that are there already may still take some.
    const results = await Promise.allSettled(Array.from({ length: 500 }, (_, n) => write(1000 + n)))
    const refused = results.filter(({ status }) => status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({
        code: 'audit_unavailable',
        message: 'The log cannot be written now, so nothing was done: try again shortly.',
        detail: expect.stringMatching(/^SQLITE_(FULL|IOERR)/),
      })
    }
    empty()
    for (let n = 0; n < 50; n++) await write(5000 + n)

    const stored = new Set((await store.read(1, 10_000)).map(({ seq }) => seq))
    expect(await verifyLog(store.read)).toMatchObject({ ok: true, count: stored.size })
    expect(acknowledged.filter((seq) => !stored.has(seq))).toEqual([])
    expect(new Set(acknowledged).size).toBe(acknowledged.length)
    expect(await log.check()).toEqual({ ok: true })
    await log.close()
  })
})
