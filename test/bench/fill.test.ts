import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseEntry } from '../../src/audit/entry.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { openReader } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'
import { fillLog } from './fill.ts'

const makeDirectory = useDirectories()

test('a log that was filled is a log: whole, chained, and searched by its summaries', async () => {
  const dir = makeDirectory()
  await fillLog(dir, 6000, () => {})
  const store = await openReader(join(dir, 'postern.db'))
  expect(await verifyLog(store.read)).toMatchObject({ ok: true, count: 6000 })
  const [row] = await store.read(1234, 1)
  expect(row && parseEntry(row).entry).toMatchObject({
    type: 'allow',
    certificate: { serial: '2839730841293823290' },
    ask: { host: `web-${(1234 * 104_729) % 2000}.example.com` },
  })
  expect(await store.find({ host: 'web-77.example.com' }, 10)).toHaveLength(3)
  await store.close()
})
