import { createHash, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, createAuthority } from '../../src/ca/index.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { createCollector } from '../../src/client/exec.ts'
import type {
  Channel,
  Connection,
  Credential,
  Target,
  Transport,
} from '../../src/client/transport.ts'
import { AppError } from '../../src/errors.ts'
import { concat, decodeBase64 } from '../../src/lib/bytes.ts'
import { systemClock, toSeconds } from '../../src/lib/clock.ts'
import { createSerial, systemRandom } from '../../src/lib/ids.ts'
import {
  type AuthorityKeyType,
  authorityAlgorithms,
  signatureAlgorithms,
} from '../../src/ssh/algorithms.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { authorityTypes, createPrivate, formatLine } from '../ca/keys.ts'
import { useDirectories } from '../fakes/directory.ts'
import { type Relay, startRelay } from '../fakes/relay.ts'
import { ownLogin } from '../ssh/client.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

/** How much goes each way in the suite; 100 MB with `npm run bench -- --client`, or as `POSTERN_TRANSFER_BYTES` says. */
const transferBytes = Number(process.env['POSTERN_TRANSFER_BYTES'] ?? 10_000_000)
const name = 'web-1.example.com'
const createDirectory = useDirectories()

/** What src/client/transport.ts promises, asked of one implementation against a real sshd. */
export const describeTransport = (title: string, transport: Transport): void => {
  describe(`the ${title} transport`, () => {
    let authority: Authority
    let sshd: Sshd
    let relay: Relay
    const hostKeys = new Map<AuthorityKeyType, Uint8Array>()

    const certify = async (type: AuthorityKeyType, principal = `${ownLogin}@${name}`) => {
      const key = createPrivate(type)
      const now = toSeconds(systemClock())
      const { text } = await authority.certify({
        publicKey: parsePublicKey(formatLine(key)),
        serial: createSerial(systemRandom),
        keyId: 'contract',
        principals: [principal],
        validAfter: now - 60,
        validBefore: now + 300,
        criticalOptions: {},
        extensions: { 'permit-pty': '' },
      })
      return createCredential(type, key, text)
    }
    const open = async (changes: Partial<Target> = {}): Promise<Connection> =>
      transport.open({
        address: '127.0.0.1',
        port: sshd.port,
        login: ownLogin,
        credential: await certify('ssh-ed25519'),
        hostKeyTypes: ['ssh-ed25519'],
        verifyHostKey: checkIs(hostKeys.get('ssh-ed25519')),
        signal: new AbortController().signal,
        ...changes,
      })

    beforeAll(async () => {
      const signer = createMemorySigner()
      const limits = { maxTtlSeconds: 3600, backdateSeconds: 60 }
      authority = await createAuthority({ signer, clock: systemClock, ...limits })
      const dir = createDirectory()
      mkdirSync(join(dir, 'keys'))
      const files = await Promise.all(authorityTypes.map((type) => createHostKey(dir, type)))
      for (const { type, blob } of files) hostKeys.set(type, blob)
      sshd = await startSshd({
        name,
        dir: join(dir, 'host'),
        caKeys: [authority.publicKey],
        logins: { [ownLogin]: [`${ownLogin}@${name}`] },
        settings: [
          ...files.map(({ path }) => `HostKey "${path}"`),
          // Many times within the transfers below.
          'RekeyLimit 2M',
          'MaxStartups 200',
        ],
      })
      relay = await startRelay(sshd.port)
    })
    afterAll(async () => {
      await relay.close()
      await sshd.stop()
      await authority.close()
    })

    test.each(authorityTypes)('logs in by a certificate for a key of type %s', async (type) => {
      const connection = await open({ credential: await certify(type) })
      expect(await run(connection, 'id -un')).toEqual({
        code: 0,
        signal: null,
        text: `${ownLogin}\n`,
      })
      await connection.close()
    })

    test.each(authorityTypes)('checks a host’s key of type %s', async (type) => {
      const blob = hostKeys.get(type)
      const connection = await open({ hostKeyTypes: [type], verifyHostKey: checkIs(blob) })
      await connection.close()
      const verifyHostKey = () => {
        throw new AppError('host_key_mismatch', 'Not this one.')
      }
      await expect(open({ hostKeyTypes: [type], verifyHostKey })).rejects.toMatchObject({
        code: 'host_key_mismatch',
        message: 'Not this one.',
      })
    })

    test.each([
      ['exit 0', { code: 0, signal: null }],
      ['exit 1', { code: 1, signal: null }],
      ['exit 255', { code: 255, signal: null }],
      ['no-such-program', { code: 127, signal: null }],
      ['kill -TERM $$', { code: null, signal: 'SIGTERM' }],
      ['kill -KILL $$', { code: null, signal: 'SIGKILL' }],
    ])('says how a command ended: %s', async (command, ending) => {
      const connection = await open()
      expect(await run(connection, command)).toMatchObject(ending)
      await connection.close()
    })

    test('serves fifty logins at once, each with its own answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, at) => {
          const connection = await open()
          const { text } = await run(connection, `echo ${at}`)
          await connection.close()
          return text
        }),
      )
      expect(answers).toEqual(answers.map((_, at) => `${at}\n`))
    })

    test('carries bytes both ways as they are, through many key exchanges, ATTACKS 317', async () => {
      const connection = await open({
        hostKeyTypes: ['ecdsa-sha2-nistp256'],
        verifyHostKey: checkIs(hostKeys.get('ecdsa-sha2-nistp256')),
      })
      const [sent, received] = [createHash('sha256'), createHash('sha256')]
      let length = 0
      const stdout = (bytes: Uint8Array) => {
        received.update(bytes)
        length += bytes.length
      }
      const channel = await connection.open(exec('cat'), { stdout, stderr: () => {} }, never)
      const block = systemRandom(1_000_000)
      for (let at = 0; at < transferBytes; at += block.length) {
        sent.update(block)
        expect(await channel.write(block)).toBe(true)
      }
      channel.finish()
      expect(await channel.ended).toEqual({ code: 0, signal: null })
      expect(length).toBe(transferBytes)
      expect(received.digest('hex')).toBe(sent.digest('hex'))
      await connection.close()
    })

    test('takes no more from a command than its sink does', async () => {
      const connection = await open()
      let length = 0
      const stuck = (bytes: Uint8Array) => {
        length += bytes.length
        return new Promise<void>(() => {})
      }
      const sinks = { stdout: stuck, stderr: () => {} }
      const channel = await connection.open(exec('yes'), sinks, never)
      expect(await run(connection, 'sleep 0.3; echo on')).toMatchObject({ text: 'on\n' })
      expect(length).toBeLessThanOrEqual(64 * 1024)
      channel.close(new Error('enough'))
      await expect(channel.ended).rejects.toThrow('enough')
      await connection.close()
    })

    test('throws what a sink throws', async () => {
      const connection = await open()
      const stdout = () => {
        throw new Error('no more')
      }
      const channel = await connection.open(exec('yes'), { stdout, stderr: () => {} }, never)
      await expect(channel.ended).rejects.toThrow('no more')
      await connection.close()
    })

    test('is told that nobody reads', async () => {
      const connection = await open()
      const channel = await start(connection, 'exec true')
      await channel.ended
      expect(await channel.write(Uint8Array.of(1))).toBe(false)
      await connection.close()
    })

    test('sends a signal, also once the input has ended', async () => {
      const before = sshd.readLog().length
      const connection = await open()
      const channel = await start(connection, 'exec sleep 60')
      channel.finish()
      channel.signal('TERM')
      if (ownLogin === 'root') {
        // sshd hands on no signal to a login of root's: nobody stands between it and the session.
        await sshd.waitForLog(/session signalling requires privilege separation/, before)
        channel.close(new Error('enough'))
        await expect(channel.ended).rejects.toThrow('enough')
      } else expect(await channel.ended).toEqual({ code: null, signal: 'SIGTERM' })
      await connection.close()
    })

    test('gives a command a terminal of the size that is asked for', async () => {
      const connection = await open()
      const pty = { term: 'vt220', columns: 91, rows: 31 }
      const request = { ...exec('stty size; echo $TERM; tty'), pty }
      expect((await run(connection, request)).text).toMatch(
        /^31 91\r\nvt220\r\n\/dev\/pts\/\d+\r\n$/,
      )
      await connection.close()
    })

    test('a connection that is cut while a command runs is an error', async () => {
      const connection = await open({ port: relay.port })
      const channel = await start(connection, 'echo begun; sleep 60')
      relay.cut('reset')
      await expect(channel.ended).rejects.toMatchObject({ code: 'connection_cut' })
      await expect(start(connection, 'true')).rejects.toMatchObject({ code: 'connection_cut' })
      await connection.close()
    })

    test('a closed connection opens nothing, and ends what ran', async () => {
      const connection = await open()
      const channel = await start(connection, 'sleep 60')
      await Promise.all([connection.close(), connection.close()])
      await expect(channel.ended).rejects.toMatchObject({ code: 'connection_cut' })
      await expect(start(connection, 'true')).rejects.toMatchObject({ code: 'session_closed' })
    })

    test('a login that the host refuses is refused, and offered once', async () => {
      const before = sshd.readLog().length
      const credential = await certify('ssh-ed25519', `${ownLogin}@web-2.example.com`)
      await expect(open({ credential })).rejects.toMatchObject({
        code: 'login_refused',
        message: `The host does not let ${ownLogin} in by this certificate.`,
      })
      await sshd.waitForLog(/Certificate does not contain an authorized principal/, before)
      expect(
        sshd
          .readLog()
          .slice(before)
          .match(/Failed publickey|Postponed/g) ?? [],
      ).toHaveLength(1)
    })

    test('a host key type the host does not have is no key at all', async () => {
      // The keys of the host are all there but one of a kind that is not known.
      await expect(
        open({ hostKeyTypes: ['ssh-ed25519'], verifyHostKey: checkIs(hostKeys.get('ssh-rsa')) }),
      ).rejects.toMatchObject({ code: 'host_key_mismatch' })
    })

    test('nobody there is an error, and so is a signal that was aborted before', async () => {
      const gone = await startRelay(1)
      await gone.close()
      await expect(open({ port: gone.port })).rejects.toMatchObject({
        code: 'connection_failed',
        message: `No connection to 127.0.0.1 port ${gone.port} can be had.`,
      })
      const signal = AbortSignal.abort(new Error('called off'))
      await expect(open({ signal })).rejects.toThrow('called off')
    })
  })
}

const never = new AbortController().signal
const exec = (command: string) => ({ kind: 'exec', command: Buffer.from(command) }) as const

const start = (connection: Connection, command: string): Promise<Channel> =>
  connection.open(exec(command), { stdout: () => {}, stderr: () => {} }, never)

const run = async (connection: Connection, request: string | Parameters<Connection['open']>[0]) => {
  const output = createCollector(1_000_000).open()
  const channel = await connection.open(
    typeof request === 'string' ? exec(request) : request,
    { stdout: output.add, stderr: () => {} },
    never,
  )
  channel.finish()
  const ending = await channel.ended
  return { ...ending, text: Buffer.from(output.join()).toString() }
}

const checkIs = (known: Uint8Array | undefined) => (blob: Uint8Array) => {
  if (known !== undefined && Buffer.compare(known, blob) === 0) return
  throw new AppError('host_key_mismatch', 'It is another key.')
}

const createCredential = (type: AuthorityKeyType, key: KeyObject, line: string): Credential => {
  const algorithm = authorityAlgorithms[type]
  const { hash } = signatureAlgorithms[algorithm]
  return {
    certificate: decodeBase64(line.trim().split(' ')[1] ?? '') ?? concat(),
    algorithm,
    sign: (data) =>
      encodeSignature(algorithm, sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })),
  }
}

const keygenArgs = {
  'ssh-ed25519': ['-t', 'ed25519'],
  'ecdsa-sha2-nistp256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-sha2-nistp384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-sha2-nistp521': ['-t', 'ecdsa', '-b', '521'],
  'ssh-rsa': ['-t', 'rsa', '-b', '3072'],
} as const satisfies Record<AuthorityKeyType, readonly string[]>

/** sshd takes one key of each algorithm: the ECDSA curves are told apart by their files alone. */
const createHostKey = async (dir: string, type: AuthorityKeyType) => {
  const path = join(dir, 'keys', type)
  await execute('ssh-keygen', ['-q', ...keygenArgs[type], '-N', '', '-C', '', '-f', path])
  const base64 = readFileSync(`${path}.pub`, 'utf8').split(' ')[1] ?? ''
  return { type, path, blob: decodeBase64(base64.trim()) ?? concat() }
}
