import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Issued } from '../../src/client/index.ts'
import { createMemoryKey } from '../../src/client/key.ts'
import { createKeeper } from '../../src/desk/keeper.ts'
import { AppError } from '../../src/errors.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { startTestApp } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'

const createDirectory = useDirectories()
const wanted = { host: 'web-1.example.com', login: 'deploy', name: 'web-1' }
const start = new Date('2026-11-22T10:00:00Z')
let now = start
const clock = () => now
const wait = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000)
}
beforeEach(() => {
  now = start
})

/** A keeper over a real service in process, whose network can be cut. */
const setUp = async () => {
  const service = await startTestApp({ overrides: { clock } })
  const certificates = join(createDirectory(), 'certificates')
  let asks = 0
  let failure: AppError | undefined
  const issue = async (): Promise<Issued> => {
    asks += 1
    if (failure !== undefined) throw failure
    const key = createMemoryKey(systemRandom)
    const response = await service.ask('maya', { publicKey: key.publicKey })
    return { ...((await response.json()) as Omit<Issued, 'key'>), key }
  }
  const keeper = createKeeper({ places: { certificates }, clock, issue })
  return {
    keeper,
    file: join(certificates, 'deploy@web-1'),
    asks: () => asks,
    cut: (error?: AppError) => {
      failure = error
    },
    close: service.close,
  }
}

const down = new AppError('not_running', 'No service answers.')

describe('a certificate at the desk', () => {
  test('is gotten once by twenty at once, and not again while two thirds of its life are left', async () => {
    const { keeper, asks, file, close } = await setUp()
    const held = await Promise.all(Array.from({ length: 20 }, () => keeper.hold(wanted)))
    expect(asks()).toBe(1)
    expect(new Set(held).size).toBe(1)
    expect(readFileSync(file, 'utf8')).toMatch(/^ssh-ed25519-cert-v01@openssh\.com /)
    wait(150)
    await keeper.hold(wanted)
    expect(asks()).toBe(1)
    await close()
  })

  test('is renewed before its end; whoever has just read the old file is still served', async () => {
    const { keeper, asks, close } = await setUp()
    await keeper.hold(wanted)
    wait(250)
    const next = await keeper.hold(wanted)
    expect(asks()).toBe(2)
    expect(keeper.list()).toEqual([next])
    expect(keeper.listKeys()).toHaveLength(2)
    wait(100)
    expect(keeper.listKeys()).toHaveLength(1)
    await close()
  })

  test('serves to its end while the service is down, and then is gone, file and all (ATTACKS 60)', async () => {
    const { keeper, cut, file, close } = await setUp()
    const held = await keeper.hold(wanted)
    cut(down)
    wait(250)
    expect(await keeper.hold(wanted)).toBe(held)
    wait(60)
    await expect(keeper.hold(wanted)).rejects.toBe(down)
    expect(existsSync(file)).toBe(false)
    expect(keeper.listKeys()).toEqual([])
    await close()
  })

  test('that was refused is not asked for again at once, but for a reason', async () => {
    const { keeper, asks, cut, close } = await setUp()
    const refusal = new AppError('reason_required', 'Say why.')
    cut(refusal)
    await expect(keeper.hold(wanted)).rejects.toBe(refusal)
    await expect(keeper.hold(wanted)).rejects.toBe(refusal)
    expect(asks()).toBe(1)
    cut()
    await keeper.hold({ ...wanted, reason: 'a release' })
    expect(asks()).toBe(2)
    await close()
  })

  test('that was under way when all was forgotten is not kept, and the next one is asked for anew', async () => {
    const { keeper, asks, file, close } = await setUp()
    const before = keeper.hold(wanted)
    keeper.clear()
    const after = keeper.hold(wanted)
    await expect(before).rejects.toMatchObject({ code: 'not_logged_in' })
    const held = await after
    expect(asks()).toBe(2)
    expect(keeper.list()).toEqual([held])
    expect(keeper.listKeys()).toHaveLength(1)
    keeper.clear()
    expect(existsSync(file)).toBe(false)
    await close()
  })
})
