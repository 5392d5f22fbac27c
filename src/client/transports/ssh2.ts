import { connect as connectSocket, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import Client, { type ClientChannel } from 'ssh2/lib/client.js'
import { AppError } from '../../errors.ts'
import { channelRefused, connectionCut, hostKeyMismatch, sessionClosed } from '../errors.ts'
import type { ChannelRequest, Connection, Sinks, Target, Transport } from '../transport.ts'
import { requestLogin } from './certificate-login.ts'
import { createChannel, type OpenChannel } from './ssh2-channel.ts'

/**
 * What may be agreed on: nothing with SHA-1, CBC or a prime below 4096 bits; no ChaCha20, which Terrapin
 * (CVE-2023-48795) is about and which is slow without ssh2's native half; no compression.
 */
const algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes256-ctr', 'aes128-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
} as const

/** Each host key type, as it is agreed on; RSA with SHA-2 only (RFC 8332). */
const hostKeyAlgorithms = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
} as const satisfies Record<Target['hostKeyTypes'][number], readonly string[]>

/** A key exchange takes about 5 KB; a host that says more before it is done is not one. */
const maxHandshakeBytes = 128 * 1024
/** Banners and the like, until the login. */
const maxLoginBytes = 1024 * 1024
/** What may wait to be sent: a host that makes us answer, and does not read, gets no more. */
const maxWaitingBytes = 1024 * 1024
/** A dead peer is found within a minute. */
const keepalive = { keepaliveInterval: 15_000, keepaliveCountMax: 3 } as const
/** How long a goodbye may take, in milliseconds. */
const goodbyeMillis = 1_000

export const createSsh2Transport = (): Transport => Object.freeze({ open })

const open = async (target: Target): Promise<Connection> => {
  const socket = await dial(target)
  const client = new Client()
  const channels = new Set<OpenChannel>()
  const closed = Promise.withResolvers<void>()
  let cause: unknown
  /** Why nothing more can be opened. */
  let gone: AppError | undefined
  client.on('error', (error) => {
    cause ??= error
    socket.destroy()
  })
  client.once('end', () => socket.destroy())
  client.once('close', () => {
    gone ??= connectionCut(cause)
    for (const channel of channels) channel.onCut(cause)
    closed.resolve()
  })
  await logIn(client, socket, target)

  return Object.freeze({
    async open(request: ChannelRequest, sinks: Sinks, signal: AbortSignal) {
      const stream = await openPatiently(client, request, signal, () => gone)
      const { _protocol: protocol } = client
      const opened = createChannel({ stream, protocol, socket, sinks })
      channels.add(opened)
      const forget = () => channels.delete(opened)
      opened.channel.ended.then(forget, forget)
      return opened.channel
    },
    close() {
      gone ??= sessionClosed()
      client.end()
      const timer = setTimeout(() => socket.destroy(), goodbyeMillis)
      return closed.promise.finally(() => clearTimeout(timer))
    },
  })
}

/** A TCP connection. A name is looked up once, and every address it has is tried. */
const dial = ({ address, port, signal }: Target): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connectSocket({ host: address, port, noDelay: true })
    const settle = (report: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('error', onError)
      report()
    }
    const fail = (error: unknown) =>
      settle(() => {
        socket.destroy()
        reject(error)
      })
    const onAbort = () => fail(signal.reason)
    const onError = (error: NodeJS.ErrnoException) => fail(connectionFailed(address, port, error))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError)
    socket.once('connect', () => settle(() => resolve(socket)))
    if (signal.aborted) onAbort()
  })

const connectionFailed = (address: string, port: number, error: NodeJS.ErrnoException): AppError =>
  new AppError('connection_failed', `No connection to ${address} port ${port} can be had.`, {
    detail: error.code ?? 'no reason was given',
    hint: 'check the address and the port, and that the host’s sshd is up',
    cause: error,
  })

const logIn = (client: Client, socket: Socket, target: Target): Promise<void> =>
  new Promise((resolve, reject) => {
    const { login, credential, signal } = target
    let refusal: unknown
    let isVerified = false
    let limit = maxHandshakeBytes
    let asked = 0

    const settle = (report: () => void) => {
      signal.removeEventListener('abort', onAbort)
      socket.removeListener('data', watch)
      report()
    }
    const fail = (error: unknown) =>
      settle(() => {
        socket.destroy()
        reject(error)
      })
    const onAbort = () => fail(signal.reason)
    const watch = () => {
      if (socket.bytesRead > limit) fail(notSsh('it talks without end'))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    client.once('handshake', () => {
      limit = maxLoginBytes
    })
    client.once('error', (error) => fail(refusal ?? describe(error, target)))
    client.once('close', () => fail(refusal ?? notSsh('it hung up')))
    client.once('ready', () => {
      // By ssh2's own order it cannot be otherwise; nothing is sent to a host of which it is.
      if (isVerified !== true) return fail(notSsh('it showed no key'))
      settle(resolve)
    })
    client.connect({
      sock: socket,
      username: login,
      readyTimeout: 0,
      ...keepalive,
      algorithms: {
        ...algorithms,
        serverHostKey: target.hostKeyTypes.flatMap((type) => hostKeyAlgorithms[type]),
      },
      hostVerifier(blob) {
        isVerified = false
        try {
          target.verifyHostKey(blob)
          isVerified = true
        } catch (error) {
          refusal = error
        }
        return isVerified
      },
      // Once, and by the certificate: see `authNone` below.
      authHandler: () => asked++ === 0 && { type: 'none', username: login },
    })
    guard(client, socket)
    client._protocol.authNone = () => requestLogin(client._protocol, login, credential)
    socket.on('data', watch)
    if (signal.aborted) onAbort()
  })

/** Holds a host to the windows it was given, and to what it may ask of us, which is nothing. */
const guard = (client: Client, socket: Socket): void => {
  const handlers = client._protocol._handlers
  const cut = (why: string) => client.emit('error', new Error(why))
  for (const name of ['CHANNEL_DATA', 'CHANNEL_EXTENDED_DATA'] as const) {
    const handle = handlers[name]
    // ssh2 keeps whatever comes, and drops what comes at a window of exactly 0.
    handlers[name] = (protocol, id, data, type) => {
      const stream = client._chanMgr.get(id) as ClientChannel | undefined
      const room = typeof stream === 'object' ? stream.incoming.window : undefined
      if (room !== undefined && data.length > room) cut('the host sent more than it may')
      else handle(protocol, id, data, type)
    }
  }
  // Among them the announcement of other host keys, which would be learned from the host itself.
  handlers.GLOBAL_REQUEST = (protocol, _name, wantReply) => {
    if (wantReply) protocol.requestFailure()
  }
  socket.on('data', () => {
    if (socket.writableLength > maxWaitingBytes) cut('the host does not read')
  })
}

/** What went wrong before the login, in words of ours: those of a host are not repeated. */
const describe = (error: Error & { readonly level?: string }, { login }: Target): AppError => {
  if (error.level === 'client-authentication') {
    return new AppError('login_refused', `The host does not let ${login} in by this certificate.`, {
      hint: 'the host’s sshd log says why; it must trust the CA, and have a principals file for the login',
      cause: error,
    })
  }
  // Of the types that are known there is none: as a key that is not known.
  if (/no matching host key/.test(error.message)) return hostKeyMismatch()
  return notSsh('it broke off', error)
}

const notSsh = (why: string, cause?: unknown): AppError =>
  new AppError('connection_failed', `What answers there did not let us log in: ${why}.`, {
    hint: 'check the address and the port; its sshd may be too busy (MaxStartups), or too old: Postern wants OpenSSH 8.2',
    ...(cause === undefined ? {} : { cause }),
  })

/**
 * A host has so many places for sessions (MaxSessions), and frees one a moment after it has said that a
 * command is over. Nothing has run where it refuses to open one, so it is asked again, for 2 s.
 */
const openPatiently = async (...given: Parameters<typeof openStream>): Promise<ClientChannel> => {
  for (let tries = 1; ; tries++) {
    try {
      return await openStream(...given)
    } catch (error) {
      if (tries === 10 || !isFull(error)) throw error
      const signal = given[2]
      await wait(45 * tries, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}

/** Only a refusal to open a channel has a reason (RFC 4254 section 5.1). */
const isFull = (error: unknown): boolean =>
  error instanceof AppError && error.cause instanceof Error && 'reason' in error.cause

const openStream = (
  client: Client,
  request: ChannelRequest,
  signal: AbortSignal,
  findGone: () => AppError | undefined,
): Promise<ClientChannel> =>
  new Promise((resolve, reject) => {
    const settle = (report: () => void) => {
      signal.removeEventListener('abort', onAbort)
      report()
    }
    const onAbort = () => settle(() => reject(signal.reason))
    const fail = (error: unknown) =>
      settle(() => reject(findGone() ?? describeRefusal(request, error)))
    const done = (error: Error | undefined, stream: ClientChannel) => {
      if (error !== undefined) return fail(error)
      if (signal.aborted) return stream.close()
      settle(() => resolve(stream))
    }
    const gone = findGone()
    if (gone !== undefined) return reject(gone)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      if (request.kind === 'subsystem') client.subsys(request.name, done)
      else client.exec(Buffer.from(request.command), { pty: formatPty(request.pty) }, done)
    } catch (error) {
      // Half closed: the end of it is on its way.
      settle(() => reject(connectionCut(error)))
    }
  })

const formatPty = (pty: Extract<ChannelRequest, { kind: 'exec' }>['pty']) =>
  pty === undefined ? false : { term: pty.term, cols: pty.columns, rows: pty.rows }

const describeRefusal = (request: ChannelRequest, error: unknown): AppError => {
  if (request.kind === 'subsystem') return channelRefused(`the subsystem ${request.name}`, error)
  // ssh2 has no codes for these; its version is exact.
  const isPty = error instanceof Error && error.message.includes('pseudo-terminal')
  return channelRefused(isPty ? 'a terminal' : 'the command', error)
}
