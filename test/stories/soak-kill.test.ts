import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLog } from '../../src/audit/chain.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startTestApp } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'
import { createAsk, createWitness } from '../soak/client.ts'
import { runKill } from '../soak/kill.ts'

const makeDirectory = useDirectories()

// ATTACKS 189
test('forty kills at random instants: every certificate received has its entry', async () => {
  const { figures, violations } = await runKill({ trials: 40 })
  expect(violations).toEqual([])
  expect(figures['trials']).toBe(40)
  expect(figures['certificates received']).toBeGreaterThan(100)
}, 240_000)

test('and a certificate that has none would be noticed', async () => {
  const service = await startTestApp()
  const ask = { ...createAsk(1), login: 'deploy' }
  const response = await service.ask('maya', { ...ask })
  const { certificate } = (await response.json()) as { readonly certificate: string }
  const good = createWitness(join(service.config.dataDir, 'postern.db'))
  expect(await good.read()).toEqual([])
  expect(good.judge({ ask, certificate })).toBeUndefined()
  expect(good.judge({ ask: createAsk(2), certificate })).toMatch(/has another key in its entry$/)
  expect(good.judge({ ask: { ...ask, host: 'web-2.example.com' }, certificate })).toMatch(
    /has another principals in its entry$/,
  )
  await service.close()

  const path = join(makeDirectory(), 'postern.db')
  await (await createLog({ store: await openSqlite(path) })).close()
  const empty = createWitness(path)
  expect(await empty.read()).toEqual([])
  expect(empty.judge({ ask, certificate })).toMatch(/^certificate \d+ has 0 entries$/)
})
