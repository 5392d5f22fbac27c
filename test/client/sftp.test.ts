import { expect, test } from 'vitest'
import type { Answer } from '../../src/client/answer.ts'
import { createSession } from '../../src/client/session.ts'
import { openSftp } from '../../src/client/sftp.ts'
import type { Channel, Ending, Sinks } from '../../src/client/transport.ts'
import { concat } from '../../src/lib/bytes.ts'
import { createReader, encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'

const version = concat(Uint8Array.of(2), encodeUint32(3))

/** A server that says its version, and then `answer` to the one request that opens a file. */
const openWith = (first: Uint8Array, answer: (id: Uint8Array) => Uint8Array) => {
  let asked = 0
  const end = Promise.withResolvers<Ending>()
  end.promise.catch(() => {})
  return openSftp(async ({ stdout }: Sinks): Promise<Channel> => {
    const say = (packet: Uint8Array) => {
      try {
        stdout(packet)
      } catch (error) {
        end.reject(error)
      }
    }
    return {
      ended: end.promise,
      async write(bytes) {
        const reader = createReader(bytes)
        const packet = reader.readString()
        say(asked++ === 0 ? first : answer(packet.subarray(1, 5)))
        return true
      },
      finish: () => {},
      signal: () => {},
      close: (error) => end.reject(error),
    }
  })
}
const status = (id: Uint8Array, code: number) =>
  encodeString(concat(Uint8Array.of(101), id, encodeUint32(code), encodeStrings('\u001b[31m', '')))
const handle = (id: Uint8Array) => encodeString(concat(Uint8Array.of(102), id, encodeStrings('h')))

test.each([
  [
    'no such file',
    (id: Uint8Array) => status(id, 2),
    'The host did not do it: there is no such file or directory.',
  ],
  [
    'another reason',
    (id: Uint8Array) => status(id, 99),
    'The host did not do it: it answered with status 99.',
  ],
  [
    'success, and no handle',
    (id: Uint8Array) => status(id, 0),
    'The host did not do it: it answered with status 0.',
  ],
  ['a handle, for ever', handle, 'What answers there does not speak SFTP version 3.'],
  [
    'an answer cut short',
    (id: Uint8Array) => encodeString(concat(Uint8Array.of(102), id, encodeUint32(9))),
    'What answers there does not speak SFTP version 3.',
  ],
  [
    'an answer to nothing',
    () => encodeString(concat(Uint8Array.of(102), encodeUint32(77))),
    'What answers there does not speak SFTP version 3.',
  ],
  [
    'a packet without end',
    () => encodeUint32(0xffffffff),
    'What answers there does not speak SFTP version 3.',
  ],
  ['an empty packet', () => encodeUint32(0), 'What answers there does not speak SFTP version 3.'],
])('a hostile SFTP server that answers %s is an error', async (_what, answer, message) => {
  const sftp = await openWith(encodeString(version), answer)
  await expect(sftp.get(Buffer.from('/x'), () => {})).rejects.toMatchObject({
    code: 'transfer_failed',
    message,
  })
})

test('what speaks no SFTP at all is told apart', async () => {
  const greeting = Buffer.from('Welcome to web-1!\n')
  await expect(openWith(greeting, handle)).rejects.toMatchObject({ code: 'transfer_failed' })
  const old = encodeString(concat(Uint8Array.of(2), encodeUint32(2)))
  await expect(openWith(old, handle)).rejects.toMatchObject({ code: 'transfer_failed' })
  const short = encodeString(Uint8Array.of(2, 0))
  await expect(openWith(short, handle)).rejects.toMatchObject({ code: 'transfer_failed' })
})

test('a server that answers a byte at a time never has more to answer than was asked at once', async () => {
  const owed: Uint8Array[] = []
  let most = 0
  let at = 0n
  const sftp = await openSftp(async ({ stdout }: Sinks): Promise<Channel> => {
    const say = (type: number, id: Uint8Array, text: string) =>
      stdout(encodeString(concat(Uint8Array.of(type), id, encodeStrings(text))))
    const pay = () => {
      for (const id of owed.splice(0)) say(103, id, 'late')
    }
    const answer = (packet: Uint8Array) => {
      const reader = createReader(packet)
      const type = reader.readByte()
      if (type === 1) return stdout(encodeString(version))
      const id = encodeUint32(reader.readUint32())
      reader.readString()
      if (type === 3) return say(102, id, 'h')
      if (reader.readUint64() === at) {
        at += 1n
        return say(103, id, 'x')
      }
      if (owed.push(id) === 1) setTimeout(pay, 5)
      most = Math.max(most, owed.length)
    }
    return {
      ended: new Promise(() => {}),
      async write(bytes) {
        answer(createReader(bytes).readString())
        return true
      },
      finish: () => {},
      signal: () => {},
      close: () => {},
    }
  })
  const taken: Uint8Array[] = []
  const sink = (bytes: Uint8Array) => {
    taken.push(bytes)
    if (taken.length === 20) throw new Error('enough')
  }
  await expect(sftp.get(Buffer.from('/x'), sink)).rejects.toThrow('enough')
  expect(Buffer.concat(taken).toString()).toBe('x'.repeat(20))
  expect(most).toBeLessThan(32)
})

test.each([
  ['says nothing', undefined, 'timeout'],
  ['speaks another version', encodeString(concat(Uint8Array.of(2), encodeUint32(2))), undefined],
])('a subsystem that %s is let go of, and its place with it', async (_what, first, code) => {
  const open = new Set<Channel>()
  const session = createSession({
    connection: {
      async open(_request, { stdout }) {
        const end = Promise.withResolvers<Ending>()
        end.promise.catch(() => {})
        const channel: Channel = {
          ended: end.promise,
          async write() {
            if (first !== undefined) stdout(first)
            return true
          },
          finish: () => {},
          signal: () => {},
          close: (error) => {
            open.delete(channel)
            end.reject(error)
          },
        }
        open.add(channel)
        return channel
      },
      close: async () => {},
    },
    certificate: { criticalOptions: {} } as Answer,
    wipe: () => {},
  })
  const tries = Array.from({ length: 25 }, () => session.get('/x', { timeout: 300 }))
  const codes = (await Promise.allSettled(tries)).map((each) =>
    each.status === 'rejected' ? each.reason.code : undefined,
  )
  expect(new Set(codes)).toEqual(new Set([code ?? 'transfer_failed']))
  expect(open.size).toBe(0)
  const last = session.get('/x', { timeout: 300 })
  await expect(last).rejects.toMatchObject({ code: code ?? 'transfer_failed' })
  expect(open.size).toBe(0)
})
