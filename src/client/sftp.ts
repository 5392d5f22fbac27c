import { AppError } from '../errors.ts'
import { concat } from '../lib/bytes.ts'
import {
  createReader,
  encodeString,
  encodeUint32,
  encodeUint64,
  type Reader,
  WireError,
} from '../ssh/wire.ts'
import { connectionCut } from './errors.ts'
import type { Channel, Sinks } from './transport.ts'

/** Whole files in and out, over the SFTP subsystem: version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH speaks it. */
export interface Sftp {
  /** Writes a file, made anew or emptied first. Code: `transfer_failed`, and what `source` throws. */
  put(path: Uint8Array, source: AsyncIterable<Uint8Array>, mode: number | undefined): Promise<void>
  /** Reads a file to its end. Code: `transfer_failed`, and what `sink` throws. */
  get(path: Uint8Array, sink: (bytes: Uint8Array) => void | Promise<void>): Promise<void>
}

/** Numbers of the draft: sections 3, 6.3 and 7. */
const types = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  status: 101,
  handle: 102,
  data: 103,
} as const
const flags = { read: 1, write: 2, create: 8, truncate: 16 } as const
const statuses = { ok: 0, endOfFile: 1 } as const
const reasons: Readonly<Record<number, string>> = {
  2: 'there is no such file or directory',
  3: 'the login may not do that',
  4: 'it failed there (is it a directory, or the disk full?)',
}
const hasPermissions = 4

/** Every server takes this much in one request, and that many at once. */
const blockBytes = 32 * 1024
const inFlight = 32
const maxPacket = 256 * 1024

interface Reply {
  readonly type: number
  readonly reader: Reader
}

/** Speaks over one channel, which its opener closes. `open` is given what to do with its output. Code: `transfer_failed`. */
export const openSftp = async (open: (sinks: Sinks) => Promise<Channel>): Promise<Sftp> => {
  const waiting = new Map<number, PromiseWithResolvers<Reply>>()
  const versionId = -1
  let received: Uint8Array = new Uint8Array()
  let next = 0
  let over: unknown
  let sending: Promise<unknown> = Promise.resolve()

  const onPacket = (packet: Uint8Array) => {
    const reader = createReader(packet)
    const type = reader.readByte()
    const id = type === types.version ? versionId : reader.readUint32()
    const found = waiting.get(id)
    if (found === undefined) throw new WireError('an answer to nothing')
    waiting.delete(id)
    found.resolve({ type, reader })
  }
  const onOutput = (bytes: Uint8Array) => {
    received = received.length === 0 ? bytes : concat(received, bytes)
    for (;;) {
      if (received.length < 4) return
      const length = createReader(received).readUint32()
      if (length === 0 || length > maxPacket) throw new WireError('a packet of a wrong length')
      if (received.length < 4 + length) return
      onPacket(received.subarray(4, 4 + length))
      received = received.subarray(4 + length)
    }
  }
  const fail = (error: unknown) => {
    over = error instanceof WireError ? foreign(error) : error
    for (const { reject } of waiting.values()) reject(over)
    waiting.clear()
  }

  const channel = await open({ stdout: onOutput, stderr: () => {} })
  channel.ended.then(() => fail(connectionCut()), fail)

  const ask = async (id: number, packet: Uint8Array): Promise<Reply> => {
    if (over !== undefined) throw over
    const reply = Promise.withResolvers<Reply>()
    waiting.set(id, reply)
    // Its writer may have gone before the answer is waited for.
    reply.promise.catch(() => {})
    sending = sending.then(() => channel.write(encodeString(packet)))
    await sending
    return reply.promise
  }
  const request = (type: number, ...fields: readonly Uint8Array[]): Promise<Reply> => {
    const id = next++ >>> 0
    return ask(id, concat(Uint8Array.of(type), encodeUint32(id), ...fields))
  }
  const openFile = async (path: Uint8Array, how: number, mode?: number) => {
    const attributes =
      mode === undefined
        ? encodeUint32(0)
        : concat(encodeUint32(hasPermissions), encodeUint32(mode))
    const reply = await request(types.open, encodeString(path), encodeUint32(how), attributes)
    return encodeString(expect(reply, types.handle).readString())
  }
  const closeFile = async (handle: Uint8Array) => checkOk(await request(types.close, handle))

  const readBlock = async (handle: Uint8Array, offset: bigint): Promise<Uint8Array | undefined> => {
    const fields = [handle, encodeUint64(offset), encodeUint32(blockBytes)]
    const reply = await request(types.read, ...fields)
    if (reply.type === types.status) {
      const status = reply.reader.readUint32()
      if (status === statuses.endOfFile) return undefined
      throw transferFailed(status)
    }
    const data = expect(reply, types.data).readString()
    if (data.length === 0 || data.length > blockBytes) throw foreign()
    return data
  }

  /** An answer that cannot be read is one of somebody who speaks otherwise. */
  const guard = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      throw error instanceof WireError ? foreign(error) : error
    }
  }
  const greet = async () => {
    const init = await ask(versionId, concat(Uint8Array.of(types.init), encodeUint32(3)))
    if (expect(init, types.version).readUint32() < 3) throw foreign()
  }
  await guard(greet())

  const put = async (
    path: Uint8Array,
    source: AsyncIterable<Uint8Array>,
    mode: number | undefined,
  ) => {
    const how = flags.write | flags.create | flags.truncate
    const handle = await openFile(path, how, mode)
    const sent: Promise<void>[] = []
    let offset = 0n
    for await (const block of cut(source)) {
      const fields = [handle, encodeUint64(offset), encodeString(block)]
      const written = request(types.write, ...fields).then(checkOk)
      written.catch(() => {})
      sent.push(written)
      offset += BigInt(block.length)
      if (sent.length >= inFlight) await sent.shift()
    }
    for (const written of sent) await written
    await closeFile(handle)
  }
  const get = async (path: Uint8Array, sink: (bytes: Uint8Array) => void | Promise<void>) => {
    const handle = await openFile(path, flags.read)
    const asked: { readonly offset: bigint; readonly block: Promise<Uint8Array | undefined> }[] = []
    let offset = 0n
    const askNext = () => {
      const block = readBlock(handle, offset)
      block.catch(() => {})
      asked.push({ offset, block })
      offset += BigInt(blockBytes)
    }
    while (asked.length < inFlight) askNext()
    for (;;) {
      const first = asked.shift() as (typeof asked)[number]
      const block = await first.block
      if (block === undefined) break
      await sink(block)
      if (block.length < blockBytes) {
        // A short answer is not an end: what was asked for beyond it is asked for again, once it is
        // answered, or a host could have us wait for more and more.
        await Promise.allSettled(asked.map((each) => each.block))
        offset = first.offset + BigInt(block.length)
        asked.length = 0
      }
      while (asked.length < inFlight) askNext()
    }
    await closeFile(handle)
  }
  return Object.freeze({
    put: (...given: Parameters<Sftp['put']>) => guard(put(...given)),
    get: (...given: Parameters<Sftp['get']>) => guard(get(...given)),
  })
}

const expect = ({ type, reader }: Reply, wanted: number): Reader => {
  if (type === wanted) return reader
  throw type === types.status ? transferFailed(reader.readUint32()) : foreign()
}

const checkOk = ({ type, reader }: Reply): void => {
  if (type !== types.status) throw foreign()
  const status = reader.readUint32()
  if (status !== statuses.ok) throw transferFailed(status)
}

/** What a source says, in blocks of the size that is sent. */
async function* cut(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const bytes of source) {
    for (let at = 0; at < bytes.length; at += blockBytes) yield bytes.subarray(at, at + blockBytes)
  }
}

const transferFailed = (status: number): AppError =>
  new AppError(
    'transfer_failed',
    `The host did not do it: ${reasons[status] ?? `it answered with status ${status}`}.`,
    { hint: 'check the path, and what the login may read and write' },
  )

const foreign = (cause?: unknown): AppError =>
  new AppError('transfer_failed', 'What answers there does not speak SFTP version 3.', {
    hint: 'a start-up file that prints, or a forced command, may stand in the way',
    ...(cause === undefined ? {} : { cause }),
  })
