import { expect, test } from 'vitest'
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
  const { sftp } = await openWith(encodeString(version), answer)
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
})
