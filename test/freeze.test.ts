import { describe, expect, test, vi } from 'vitest'
import { createLog } from '../src/audit/chain.ts'
import { parseEntry } from '../src/audit/entry.ts'
import type { EntryIdentity } from '../src/audit/index.ts'
import { openFreeze } from '../src/freeze.ts'
import { createFakeStore, type FakeStore } from './fakes/audit-store.ts'
import { denyEntry } from './fakes/entries.ts'

const identity = (name: string, kind = 'oidc'): EntryIdentity => ({
  kind,
  issuer: kind === 'local' ? 'local' : 'https://idp.example.com',
  subject: `u-${name}`,
  name,
  groups: [],
  claims: {},
  mfa: false,
})
const order = (name: string, kind?: string) => ({
  identity: identity(name, kind),
  request: { id: `req_${name}`, address: '192.0.2.1' },
})
const down = {
  code: 'audit_unavailable',
  message: 'The log cannot be written now, so nothing was done: try again shortly.',
}

const open = async (store: FakeStore = createFakeStore()) => {
  const log = await createLog({ store })
  const clock = () => new Date('2026-11-22T10:00:00Z')
  const freeze = await openFreeze({ log, store, clock })
  const types = () => store.rows.map((row) => parseEntry(row).entry.type)
  return { store, log, freeze, types, reopen: () => open(store) }
}

const refusal = (check: () => void) => {
  try {
    check()
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return { code, message }
  }
  return undefined
}

describe('a freeze', () => {
  test('is an entry, and says who froze it and since when, and not why', async () => {
    const { freeze, store } = await open()
    expect(refusal(freeze.checkFrozen)).toBeUndefined()
    const frozen = { by: 'maya', since: '2026-11-22T10:00:00Z', reason: 'a laptop was stolen' }
    expect(await freeze.freeze({ ...order('maya'), reason: frozen.reason })).toEqual(frozen)
    expect(freeze.find()).toEqual(frozen)
    expect(refusal(freeze.checkFrozen)).toEqual({
      code: 'frozen',
      message:
        'All issuing is frozen by maya since 2026-11-22T10:00:00Z: ask an administrator when it goes on.',
    })
    expect(store.rows.map((row) => parseEntry(row).entry)).toEqual([
      {
        type: 'freeze',
        time: '2026-11-22T10:00:00Z',
        request: { id: 'req_maya', address: '192.0.2.1' },
        identity: identity('maya'),
        reason: 'a laptop was stolen',
      },
    ])
  })

  test('holds from the call on, before its entry is durable', async () => {
    const { freeze, store } = await open()
    store.breakNext('hang')
    const done = freeze.freeze({ ...order('maya'), reason: 'x' })
    expect(refusal(freeze.checkFrozen)).toMatchObject({ code: 'frozen' })
    await vi.waitFor(() => expect(store.batches).toHaveLength(1))
    expect(store.rows).toEqual([])
    store.release()
    await done
  })

  test('survives a restart, among other entries, until it is lifted; so does that', async () => {
    const first = await open()
    await first.freeze.freeze({ ...order('root', 'local'), reason: 'x' })
    await first.log.append(denyEntry(1))
    const second = await first.reopen()
    expect(second.freeze.find()).toMatchObject({ by: 'local:root' })
    expect(await second.freeze.unfreeze(order('sam'))).toMatchObject({ by: 'local:root' })
    expect(second.freeze.find()).toBeUndefined()
    const third = await second.reopen()
    expect(refusal(third.freeze.checkFrozen)).toBeUndefined()
    expect(third.types()).toEqual(['freeze', 'deny', 'unfreeze'])
    await third.freeze.freeze({ ...order('sam'), reason: 'again' })
    expect((await third.reopen()).freeze.find()).toMatchObject({ by: 'sam', reason: 'again' })
  })

  test('of what is frozen changes nothing, and answers by whom; so does lifting what is not', async () => {
    const { freeze, types } = await open()
    expect(await freeze.unfreeze(order('sam'))).toBeUndefined()
    await freeze.freeze({ ...order('maya'), reason: 'first' })
    expect(await freeze.freeze({ ...order('sam'), reason: 'second' })).toMatchObject({
      by: 'maya',
      reason: 'first',
    })
    expect(types()).toEqual(['freeze'])
  })

  test('and its end, ordered at once, take effect one after another, in the log as in force', async () => {
    const { freeze, types } = await open()
    await Promise.all([
      freeze.freeze({ ...order('maya'), reason: 'one' }),
      freeze.unfreeze(order('sam')),
      freeze.freeze({ ...order('kim'), reason: 'two' }),
    ])
    expect(types()).toEqual(['freeze', 'unfreeze', 'freeze'])
    expect(freeze.find()).toMatchObject({ by: 'kim', reason: 'two' })
  })
})

describe('a log that cannot be written', () => {
  test.each(['lose', 'keep'] as const)(
    'leaves it frozen when a freeze could not be recorded (%s), and takes it the next time',
    async (fault) => {
      const { freeze, store, reopen } = await open()
      store.breakNext(fault)
      await expect(freeze.freeze({ ...order('maya'), reason: 'x' })).rejects.toMatchObject(down)
      expect(refusal(freeze.checkFrozen)).toMatchObject({ code: 'frozen' })
      await freeze.freeze({ ...order('maya'), reason: 'x' })
      expect((await reopen()).freeze.find()).toMatchObject({ by: 'maya' })
    },
  )

  test('leaves it frozen when its end could not be recorded', async () => {
    const { freeze, store, reopen } = await open()
    await freeze.freeze({ ...order('maya'), reason: 'x' })
    store.breakNext('lose')
    await expect(freeze.unfreeze(order('sam'))).rejects.toMatchObject(down)
    expect(freeze.find()).toMatchObject({ by: 'maya' })
    expect((await reopen()).freeze.find()).toMatchObject({ by: 'maya' })
  })

  test('where the end may be recorded all the same, the next freeze is an entry again', async () => {
    const { freeze, store, types, reopen } = await open()
    await freeze.freeze({ ...order('maya'), reason: 'x' })
    store.breakNext('keep')
    await expect(freeze.unfreeze(order('sam'))).rejects.toMatchObject(down)
    await freeze.freeze({ ...order('kim'), reason: 'y' })
    expect(types()).toEqual(['freeze', 'unfreeze', 'freeze'])
    expect((await reopen()).freeze.find()).toMatchObject({ by: 'kim' })
  })
})
