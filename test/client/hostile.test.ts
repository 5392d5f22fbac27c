import { afterAll, describe, expect, test } from 'vitest'
import type { Session } from '../../src/client/index.ts'
import { type Hostility, startHostileSshd } from '../fakes/hostile-sshd.ts'
import { host, startWorld } from './setup.ts'

const world = await startWorld()
afterAll(() => world.close())

/** Connects to a hostile host whose key is known, and does something there. */
const meet = async <T>(
  how: Hostility,
  act: (session: Session) => Promise<T>,
  timeout = 5_000,
): Promise<T> => {
  const sshd = await startHostileSshd(how)
  const { port } = sshd
  const knownHosts = `[${host}]:${port} ${sshd.hostKey}`
  try {
    const session = await world.client().connect(world.options({ port, knownHosts, timeout }))
    try {
      return await act(session)
    } finally {
      await session.close()
    }
  } finally {
    await sshd.close()
  }
}

const foreign = (why: string) => `What answers there did not let us log in: ${why}.`
const cut = 'The connection to the host was cut before this was done.'

describe('a hostile host, ATTACKS 311, 312, 325', () => {
  test.each([
    ['says nothing', 'timeout', 'Connecting took longer than 400 ms.'],
    ['drips', 'timeout', 'Connecting took longer than 400 ms.'],
    ['hangs up', 'connection_failed', foreign('it broke off')],
    ['speaks HTTP', 'connection_failed', foreign('it broke off')],
    ['sends noise', 'connection_failed', foreign('it broke off')],
    ['talks without end', 'connection_failed', foreign('it talks without end')],
    ['never answers the login', 'timeout', 'Connecting took longer than 400 ms.'],
    ['floods banners', 'connection_failed', foreign('it talks without end')],
  ] as const)('that %s gets nowhere', async (how, code, message) => {
    const timeout = code === 'timeout' ? 400 : 5_000
    const met = meet(how, async () => 'logged in', timeout)
    await expect(met).rejects.toMatchObject({ code, message })
  })

  test('whose key is another hears neither login nor command, ATTACKS 311', async () => {
    const sshd = await startHostileSshd('never ends')
    const { port } = sshd
    for (const [key, code] of [
      [world.sshd.hostKey, 'host_key_mismatch'],
      // Of a type that it does not have, it has none that is known.
      ['ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAA', 'host_key_mismatch'],
    ]) {
      const connecting = world
        .client()
        .connect(world.options({ port, knownHosts: `[${host}]:${port} ${key}` }))
      await expect(connecting).rejects.toMatchObject({
        code,
        message: 'What answers shows none of the keys known of the host.',
        hint: 'it may be another machine; if the host was made anew, bring its new key into `knownHosts`',
      })
    }
    const knownHosts = `[${host}]:${port} ${sshd.hostKey}\n@revoked * ${sshd.hostKey}`
    await expect(world.client().connect(world.options({ port, knownHosts }))).rejects.toMatchObject(
      { code: 'host_key_revoked' },
    )
    expect(sshd.heard).toEqual([])
    await sshd.close()
  })

  test.each([
    ['closes without an exit status', 'connection_cut', cut],
    ['cuts the connection', 'connection_cut', cut],
    ['says exit 0, and cuts the connection', 'connection_cut', cut],
    ['sends output without end', 'output_too_large', 'There is more output than 16777216 bytes.'],
    ['never answers the command', 'timeout', 'The command took longer than 300 ms.'],
    ['never ends', 'timeout', 'The command took longer than 300 ms.'],
  ] as const)('that %s is never a success', async (how, code, message) => {
    const timeout = code === 'timeout' ? { timeout: 300 } : {}
    const ran = meet(how, (session) => session.exec(['true'], timeout))
    await expect(ran).rejects.toMatchObject({ code, message })
  })

  test('takes no more memory than a window, however much it sends', async () => {
    await meet('sends output without end', async (session) => {
      const before = process.memoryUsage().arrayBuffers
      const stuck = new Promise<void>(() => {})
      const running = session.exec(['true'], { onStdout: () => stuck, timeout: 500 })
      await expect(running).rejects.toMatchObject({ code: 'timeout' })
      // The host of this test is in the same process, and has a window of its own.
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * 1024 * 1024)
    })
  })

  test('that sends more than the window it was given is hung up on', async () => {
    const stuck = new Promise<void>(() => {})
    const ran = meet('sends more than its window', (session) =>
      session.exec(['true'], { onStdout: () => stuck }),
    )
    await expect(ran).rejects.toMatchObject({
      code: 'connection_cut',
      cause: { message: 'the host sent more than it may' },
    })
  })

  test('that opens channels to us is refused each', async () => {
    const { stdout } = await meet('opens channels to us', (session) => session.exec(['true']))
    expect(stdout).toBe('all refused')
  })

  test('cannot write on a terminal by the name of a signal', async () => {
    const ending = await meet('names a signal that is none', (session) => session.exec(['true']))
    expect(ending).toMatchObject({ code: null, signal: 'SIGUNKNOWN' })
  })
})
