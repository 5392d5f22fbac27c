import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createMemoryKey } from '../../src/client/key.ts'
import { type Agent, openAgent } from '../../src/desk/agent.ts'
import { askAgent } from '../../src/desk/control.ts'
import { takeLock } from '../../src/desk/lock.ts'
import { saveSession } from '../../src/desk/session.ts'
import { concat, encodeUtf8 } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { systemFetch } from '../../src/lib/fetch.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { createAgent } from '../../src/ssh/agent.ts'
import { answerMessage } from '../../src/ssh/agent-server.ts'
import { verifySignature } from '../../src/ssh/signature.ts'
import { encodeString, encodeUint32 } from '../../src/ssh/wire.ts'
import { execute } from '../tools.ts'
import { createHome } from './desk.ts'

const home = createHome()
const { places } = home
const open = () =>
  openAgent({ places, clock: systemClock, monotonic: () => performance.now(), fetch: systemFetch })
let agent: Agent | undefined
beforeAll(async () => {
  agent = await open()
})
afterAll(async () => {
  agent?.stop()
  await agent?.ended
  await home.close()
})

const data = encodeUtf8('a session id and a user name')

describe('the protocol of the agent', () => {
  const { blob, sign } = createMemoryKey(systemRandom)
  const keys = [{ blob, comment: 'maya@web-1', sign }]
  const failure = Uint8Array.of(5)

  test('lists, and signs what verifies', () => {
    expect(answerMessage(keys, Uint8Array.of(11))).toEqual(
      concat(Uint8Array.of(12), encodeUint32(1), encodeString(blob), encodeString('maya@web-1')),
    )
    const request = [Uint8Array.of(13), encodeString(blob), encodeString(data), encodeUint32(0)]
    const answer = answerMessage(keys, concat(...request))
    expect(answer[0]).toBe(14)
    expect(verifySignature(blob, data, answer.subarray(5))).toBe(true)
  })

  test.each([
    ['add a key', 17],
    ['remove a key', 18],
    ['remove all', 19],
    ['add a smartcard', 20],
    ['lock', 22],
    ['unlock', 23],
    ['add a key under constraints', 25],
    ['an extension', 27],
    ['nothing we know', 200],
  ])('refuses to do anything else: %s', (_what, type) => {
    expect(answerMessage(keys, concat(Uint8Array.of(type), encodeString('x')))).toEqual(failure)
  })

  test.each([
    ['empty', new Uint8Array()],
    ['a list with bytes behind it', Uint8Array.of(11, 0)],
    ['a length past the end', concat(Uint8Array.of(13), encodeUint32(2 ** 32 - 1))],
    [
      'a key it has not',
      concat(Uint8Array.of(13), encodeString('x'), encodeString(data), encodeUint32(0)),
    ],
  ])('refuses what is %s', (_what, message) => {
    expect(answerMessage(keys, message)).toEqual(failure)
  })
})

describe('the running agent', () => {
  test('is on sockets of 0600 in a directory of 0700, and there once', async () => {
    const modes = [places.agentSocket, places.controlSocket, places.dir].map(
      (path) => statSync(path).mode & 0o777,
    )
    expect(modes).toEqual([0o600, 0o600, 0o700])
    expect(await open()).toBeUndefined()
  })

  test('is one that ssh-add lists, adds nothing to, and our own client reads', async () => {
    const env = { ...home.env, SSH_AUTH_SOCK: places.agentSocket }
    const list = await execute('ssh-add', ['-l'], { env, isClean: true })
    expect(list).toMatchObject({ code: 1, stdout: 'The agent has no identities.\n' })
    const key = join(home.dir, 'key')
    await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const add = await execute('ssh-add', [key], { env, isClean: true })
    expect(add).toMatchObject({ code: 1, stderr: expect.stringContaining('agent refused') })
    expect(await createAgent({ socket: places.agentSocket, timeoutMs: 5_000 }).list()).toEqual([])
  })

  test.each(['null', '7', '"stop"', '[]', '{"kind":null}', '{'])(
    'answers a request that is none, and goes on: %s',
    async (text) => {
      const connection = createConnection(places.controlSocket)
      let said = ''
      connection.setEncoding('utf8').on('data', (part: string) => {
        said += part
      })
      connection.write(`${text}\n`)
      await new Promise((resolve) => connection.once('close', resolve))
      expect(JSON.parse(said)).toMatchObject({ ok: false, code: 'usage' })
      expect(await askAgent(places, { kind: 'list' }, 5_000)).toMatchObject({ ok: true })
    },
  )

  test('hangs up on a message without end, and goes on', async () => {
    const connection = createConnection(places.agentSocket)
    connection.write(encodeUint32(2 ** 31))
    await new Promise((resolve) => connection.once('close', resolve))
    expect(await askAgent(places, { kind: 'list' }, 5_000)).toEqual({ ok: true, certificates: [] })
  })

  test.each([
    ['dir', 0o750, 'Others than you can use the directory', 'chmod 700'],
    ['controlSocket', 0o660, 'Others than you can use the socket', 'chmod 600'],
  ] as const)('is not spoken to where others could: %s', async (place, mode, text, hint) => {
    const path = places[place]
    const before = statSync(path).mode & 0o777
    chmodSync(path, mode)
    try {
      expect(await home.quick(['ready', 'web-1.example.com', 'maya'])).toEqual({
        code: 1,
        stdout: '',
        stderr: `error: ${text} ${path}.\nhint: ${hint} ${path}\n`,
      })
    } finally {
      chmodSync(path, before)
    }
  })
})

test('an agent that waits for somebody slow is told apart from none', async () => {
  const other = createHome()
  mkdirSync(other.places.dir, { recursive: true, mode: 0o700 })
  const silent = createServer((connection) => connection.resume()).listen(
    other.places.controlSocket,
  )
  await once(silent, 'listening')
  chmodSync(other.places.controlSocket, 0o600)
  expect(await other.quick(['ready', '--ours', 'web-1.example.com', 'maya'])).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'error: The agent of postern does not answer in time.\nhint: try again in a moment; if it stays so, end it and log in anew: postern logout\n',
  })
  await new Promise((resolve) => silent.close(resolve))
  await other.close()
})

describe('the agent ends by itself', () => {
  const expiresAt = 1_800_000_000
  /** An agent over a login that ends, whose own time and whose clock are ours. */
  const start = async (isInMemory: boolean, secondsLeft = 7 * 86_400) => {
    const own = createHome()
    const grantor = { kind: 'oidc', issuer: 'https://idp.example.com', clientId: 'x' } as const
    const credential = { kind: 'login', bearer: 'x', expiresAt, grantor } as const
    const session = { url: 'http://127.0.0.1:1', credential }
    if (!isInMemory) saveSession(own.places, session)
    const time = { seconds: expiresAt - secondsLeft, millis: 0 }
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const running = await openAgent({
      places: own.places,
      clock: () => new Date(time.seconds * 1000),
      monotonic: () => time.millis,
      fetch: systemFetch,
    })
    if (running === undefined) throw new TypeError('no other agent runs there')
    if (isInMemory) await askAgent(own.places, { kind: 'login', session }, 5_000)
    let hasEnded = false
    running.ended.then(() => {
      hasEnded = true
    })
    const watch = async (seconds: number) => {
      time.seconds += seconds
      time.millis += seconds * 1000
      await vi.advanceTimersByTimeAsync(15_000)
      return hasEnded
    }
    const close = () => {
      running.stop()
      vi.useRealTimers()
      return own.close()
    }
    return { watch, places: own.places, close }
  }

  test.each([
    ['an hour after the last request', false, 3_600],
    ['twelve hours after, where a login is in its memory alone', true, 12 * 3_600],
  ])('%s', async (_when, isInMemory, seconds) => {
    const { watch, places: own, close } = await start(isInMemory)
    expect(await watch(seconds)).toBe(false)
    await askAgent(own, { kind: 'list' }, 5_000)
    expect(await watch(seconds)).toBe(false)
    expect(await watch(1)).toBe(true)
    expect([own.agentSocket, own.controlSocket].map((path) => existsSync(path))).toEqual([
      false,
      false,
    ])
    expect(await askAgent(own, { kind: 'list' }, 5_000)).toBeUndefined()
    await close()
  })

  test('when the login has ended and no certificate is in force', async () => {
    const { watch, close } = await start(false, 600)
    expect(await watch(599)).toBe(false)
    expect(await watch(1)).toBe(true)
    await close()
  })
})

describe('what is kept', () => {
  test('is not read where others could have: a session of 0644, a link, a directory of others', async () => {
    const other = createHome()
    mkdirSync(other.places.dir, { recursive: true, mode: 0o700 })
    const ready = () => other.quick(['ready', 'web-1.example.com', 'maya'])
    writeFileSync(other.places.session, '{}', { mode: 0o644 })
    chmodSync(other.places.session, 0o644)
    const { session } = other.places
    expect((await ready()).stderr).toBe(
      `error: Others than you can use the file ${session}.\nhint: chmod 600 ${session}\n`,
    )
    const linked = createHome()
    mkdirSync(linked.places.dir, { recursive: true, mode: 0o700 })
    symlinkSync(session, linked.places.session)
    expect((await linked.quick(['ready', 'web-1.example.com', 'maya'])).stderr).toBe(
      `error: ${linked.places.session} is no file of ours.\nhint: look at it: ls -ld ${linked.places.session}\n`,
    )
    await other.close()
    await linked.close()
  })

  test('is not put where a socket has no room', async () => {
    const deep = join(home.dir, 'x'.repeat(100))
    const outcome = await home.postern(['ready', 'web-1', 'maya'], { XDG_STATE_HOME: deep })
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'error: The path of the state directory is too long for a socket in it.\nhint: set XDG_STATE_HOME to a shorter one\n',
    })
  })
})

describe('a lock', () => {
  test('is held once, given back, and taken from one who has ended', () => {
    const path = join(home.dir, 'lock')
    const lock = takeLock(path)
    expect(takeLock(path)).toBeUndefined()
    lock?.release()
    expect(existsSync(path)).toBe(false)
    // No process has this number: Linux counts to 2^22.
    writeFileSync(path, '9999999\n')
    const next = takeLock(path)
    expect(next).toBeDefined()
    next?.release()
  })

  test.runIf(process.platform === 'linux')(
    'is not held by who has only the number of who had it',
    () => {
      const path = join(home.dir, 'lock')
      const lock = takeLock(path)
      const [, start] = readFileSync(path, 'utf8').trim().split(' ')
      expect(start).toMatch(/^[0-9]+$/)
      writeFileSync(path, `${process.pid} ${Number(start) - 1}\n`)
      const next = takeLock(path)
      expect(next).toBeDefined()
      lock?.release()
      next?.release()
    },
  )
})
