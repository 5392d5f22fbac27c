import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { Session } from '../../src/client/index.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { startWorld } from './setup.ts'

const world = await startWorld()
const session = await world.client().connect(world.options())
const dir = join(world.service.dir, 'files')
mkdirSync(dir)
afterAll(async () => {
  await session.close()
  await world.close()
})

/** A session of its own, closed afterwards. */
const during = async <T>(act: (own: Session) => Promise<T>): Promise<T> => {
  await using own = await world.client().connect(world.options())
  return await act(own)
}

describe('a command', () => {
  test('resolves with how it ended and what it said, whatever its code', async () => {
    const ending = await session.exec(['sh', '-c', 'echo out; echo "err ü" >&2; exit 7'])
    expect(ending).toEqual({
      code: 7,
      signal: null,
      stdout: 'out\n',
      stderr: 'err ü\n',
      stdoutBytes: new Uint8Array(Buffer.from('out\n')),
      stderrBytes: expect.any(Uint8Array),
    })
    expect(await session.exec({ command: 'kill -9 $$' })).toMatchObject({
      code: null,
      signal: 'SIGKILL',
    })
    expect(await session.exec({ command: 'echo $((6 * 7)) | tr 4 5' })).toMatchObject({
      stdout: '52\n',
    })
  })

  test('has a log entry and a line of the host’s that name the person', async () => {
    const { certificate } = session
    const [entry] = (await world.service.rows()).filter(({ entry }) => entry.type === 'allow')
    expect(entry?.entry).toMatchObject({ identity: { name: 'maya' }, proof: expect.any(String) })
    await world.sshd.waitForLog(
      new RegExp(`ID ${certificate.keyId} \\(serial ${certificate.serial}\\)`),
    )
  })

  test('keeps every byte of its arguments but NUL, through a real shell', async () => {
    const bytes = fc.uint8Array({ min: 1, max: 255, maxLength: 200 })
    const nasty = fc.constantFrom(
      "'",
      "''",
      '',
      ' ',
      '\n',
      '$(id)',
      '`id`',
      '\\',
      '!!',
      '-n',
      '*',
      '~',
      '"',
      '\u0001',
      '\u007f',
      'ü',
      '’',
      '#',
      "\\'",
    )
    const argument = fc.oneof(
      bytes,
      nasty,
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
    )
    const list = fc.array(argument, { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(list, async (args) => {
        const { stdoutBytes } = await session.exec(['/usr/bin/printf', '%s\\0', ...args])
        const sent = args.map((each) =>
          Buffer.concat([Buffer.from(each as string), Buffer.alloc(1)]),
        )
        expect(Buffer.compare(stdoutBytes, Buffer.concat(sent))).toBe(0)
      }),
      { numRuns: Number(process.env['POSTERN_RUNS'] ?? 15) },
    )
  })

  test.each([
    [['true', 'a\0b'], 'The command is not valid: it holds a NUL, which no argument can.'],
    [[], 'The command is not valid: it is empty: name a program.'],
    [undefined, 'The command is not valid: it is empty: name a program.'],
    [['echo', '\ud800'], 'The command is not valid: it holds half a character.'],
    [
      ['x'.repeat(128 * 1024)],
      'The command is not valid: it is longer than 128 KiB: send much data by `stdin`.',
    ],
    [{ command: 'a\0' }, 'The command is not valid: it holds a NUL, which no argument can.'],
  ])('is not sent where it is none', async (command, message) => {
    await expect(session.exec(command)).rejects.toMatchObject({ code: 'invalid_command', message })
  })

  test('reads what it is given: text, bytes, a stream, a generator', async () => {
    const generate = async function* () {
      yield 'a'
      await wait(5)
      yield Uint8Array.of(0, 255)
    }
    const inputs = [
      'text',
      Uint8Array.of(0, 255, 10),
      Readable.from(['from ', 'a stream']),
      generate(),
    ]
    const answers = await Promise.all(
      inputs.map(async (stdin) =>
        Buffer.from((await session.exec(['cat'], { stdin })).stdoutBytes),
      ),
    )
    expect(answers.map((each) => each.toString('latin1'))).toEqual([
      'text',
      '\0\u00ff\n',
      'from a stream',
      'a\0\u00ff',
    ])
  })

  test('may end before its input, and ends where its input fails', async () => {
    const endless = async function* () {
      for (;;) yield 'x'.repeat(10_000)
    }
    expect(await session.exec(['head', '-c', '3'], { stdin: endless() })).toMatchObject({
      code: 0,
      stdout: 'xxx',
    })
    const failing = async function* () {
      yield 'x'
      throw new Error('the source broke')
    }
    await expect(session.exec(['cat'], { stdin: failing() })).rejects.toThrow('the source broke')
  })

  test('hands its output on as it comes, no faster than it is taken', async () => {
    const seen: string[] = []
    const { stdout, stderr } = await session.exec(
      ['sh', '-c', 'for n in 1 2 3; do echo $n; sleep 0.02; done; echo e >&2'],
      {
        onStdout: async (bytes) => {
          seen.push(Buffer.from(bytes).toString())
          await wait(1)
        },
      },
    )
    expect(seen.join('')).toBe('1\n2\n3\n')
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: 'e\n' })
  })

  test('says nothing more to who has called it off', async () => {
    const controller = new AbortController()
    const begun = Promise.withResolvers<void>()
    const taken = Promise.withResolvers<void>()
    let pieces = 0
    const onStdout = () => {
      pieces += 1
      begun.resolve()
      return taken.promise
    }
    const running = session.exec(['yes'], { onStdout, signal: controller.signal })
    await begun.promise
    await wait(100)
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
    taken.resolve()
    await wait(100)
    expect(pieces).toBe(1)
  })

  test('may say only so much', async () => {
    await expect(session.exec(['yes'], { maxOutput: 1000 })).rejects.toMatchObject({
      code: 'output_too_large',
      message: 'There is more output than 1000 bytes.',
      hint: 'pass onStdout (for a file, onData) to take it as it comes, or a larger maxOutput',
    })
  })

  test('has a terminal where it is asked for', async () => {
    const command = ['sh', '-c', 'stty size; echo $TERM']
    expect(await session.exec(command, { pty: { columns: 132 } })).toMatchObject({
      stdout: '24 132\r\nxterm-256color\r\n',
    })
    expect((await session.exec(command, { pty: true })).code).toBe(0)
    await expect(session.exec(command, { pty: { term: 'a\nb' } })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  test('is given up after its time, or when it is called off; the session goes on', async () => {
    await during(async (own) => {
      await expect(own.exec(['sleep', '60'], { timeout: 100 })).rejects.toMatchObject({
        code: 'timeout',
        message: 'The command took longer than 100 ms.',
      })
      const controller = new AbortController()
      const running = own.exec(['sleep', '60'], { signal: controller.signal })
      controller.abort('enough')
      await expect(running).rejects.toMatchObject({ code: 'aborted', cause: 'enough' })
      expect(await own.exec(['echo', 'on'])).toMatchObject({ stdout: 'on\n' })
    })
  })

  test('waits for its turn where more than ten run', async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, at) => session.exec(['echo', `${at}`])),
    )
    expect(answers.map(({ stdout }) => stdout)).toEqual(answers.map((_, at) => `${at}\n`))
  })

  test('that is bound by the rule is run whatever is asked for', async () => {
    const host = 'bound.example.com'
    const knownHosts = `bound.example.com ${world.sshd.hostKey}`
    const bound = await world
      .client()
      .connect(world.options({ host, knownHosts, command: 'greet' }))
    expect(await bound.exec()).toMatchObject({ code: 0, stdout: 'hello\n' })
    expect(await bound.exec(['rm', '-r'])).toMatchObject({ stdout: "hello 'rm' '-r'\n" })
    await bound.close()
  })
})

describe('a file', () => {
  test('goes there and back to the byte', async () => {
    const content = systemRandom(1_000_003)
    const path = join(dir, 'a file; rm -rf $HOME')
    await session.put(path, content, { mode: 0o640 })
    expect(createHash('sha256').update(readFileSync(path)).digest()).toEqual(
      createHash('sha256').update(content).digest(),
    )
    expect(statSync(path).mode & 0o777).toBe(0o640)
    expect(Buffer.compare(await session.get(path), content)).toBe(0)
    let length = 0
    const onData = (bytes: Uint8Array) => {
      length += bytes.length
    }
    expect(await session.get(path, { onData })).toEqual(new Uint8Array())
    expect(length).toBe(content.length)
    await session.put(path, Readable.from(['now ', 'short']))
    expect(readFileSync(path, 'utf8')).toBe('now short')
    await session.put(path, '')
    expect(await session.get(path)).toEqual(new Uint8Array())
  })

  test.each([
    ['/nowhere/at/all', 'The host did not do it: there is no such file or directory.'],
    ['/', 'The host did not do it: it failed there (is it a directory, or the disk full?).'],
  ])('that cannot be is an error: %s', async (path, message) => {
    await expect(session.put(path, 'x')).rejects.toMatchObject({ code: 'transfer_failed', message })
    await expect(session.get(path)).rejects.toMatchObject({ code: 'transfer_failed', message })
  })

  test('without an end is bounded, called off, and a path is one', async () => {
    await expect(session.get('/dev/zero', { maxOutput: 100_000 })).rejects.toMatchObject({
      code: 'output_too_large',
    })
    const stuck = new Promise<void>(() => {})
    await expect(
      session.get('/dev/zero', { onData: () => stuck, timeout: 100 }),
    ).rejects.toMatchObject({ code: 'timeout' })
    await expect(session.put('a\0b', 'x')).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'The path is not valid: 1 to 4096 bytes, none of them NUL.',
    })
    expect((await session.exec(['true'])).code).toBe(0)
  })
})

describe('the end of a session', () => {
  test('ends what runs, and opens nothing any more', async () => {
    await during(async (own) => {
      const running = own.exec(['sleep', '60'])
      const waiting = expect(running).rejects.toMatchObject({
        code: 'session_closed',
        message: 'This session is closed.',
      })
      await Promise.all([own.close(), own.close()])
      await waiting
      for (const act of [own.exec(['true']), own.get('/etc/passwd'), own.put('/x', '')]) {
        await expect(act).rejects.toMatchObject({ code: 'session_closed' })
      }
    })
  })

  test('a refused login, another host’s certificate, is told, and nothing was run', async () => {
    const host = 'runner-18.example.com'
    const knownHosts = `runner-18.example.com ${world.sshd.hostKey}`
    await expect(world.client().connect(world.options({ host, knownHosts }))).rejects.toMatchObject(
      {
        code: 'login_refused',
        hint: 'the host’s sshd log says why; it must trust the CA, and have a principals file for the login',
      },
    )
  })

  test('without a known key no host is trusted, and none is dialled', async () => {
    const { knownHosts: _, ...options } = world.options({ port: 1 })
    await expect(world.client().connect(options)).rejects.toMatchObject({
      code: 'host_key_unknown',
      message: 'No host key of runner-17.example.com is known, so nothing there is trusted.',
    })
  })

  test('a denial of the policy comes with its code, its sentence and a hint', async () => {
    const token = () => world.service.token('sam')
    await expect(world.client().connect(world.options({ token }))).rejects.toMatchObject({
      code: 'policy_denied',
      message: expect.stringMatching(/\.$/),
      hint: 'an admin sees why with: postern policy explain',
    })
  })
})
