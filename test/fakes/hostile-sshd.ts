import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Protocol } from 'ssh2/lib/client.js'
import utils from 'ssh2/lib/protocol/utils.js'
import Server, { type ServerChannel, type ServerClient } from 'ssh2/lib/server.js'
import { createMemoryKey } from '../../src/client/key.ts'
import { concat } from '../../src/lib/bytes.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { encodeString, encodeStrings, encodeUint32 } from '../../src/ssh/wire.ts'

/** A server where an sshd should be, that lets anybody in and then does its worst. */
export interface HostileSshd {
  readonly port: number
  /** `ssh-ed25519 AAAA…`: the key it really has. */
  readonly hostKey: string
  /** What it was sent: commands, logins and passwords; none where it never came to that. */
  readonly heard: readonly string[]
  close(): Promise<void>
}

/** Sends for as long as the other side takes it, by what `write` says. */
const pour = (socket: Socket, write: () => boolean): void => {
  const more = () => {
    for (let count = 0; count < 16 && !socket.destroyed; count++) if (!write()) break
    if (!socket.destroyed) setTimeout(more, 1)
  }
  more()
}

const no = Uint8Array.of(0)

/** What happens before a key is shown. */
const beforeKeys = {
  'says nothing': () => {},
  'hangs up': (socket) => socket.end(),
  'speaks HTTP': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  'sends noise': (socket) => socket.write(Buffer.alloc(100_000, 0xa5)),
  'talks without end': (socket) => pour(socket, () => socket.write(`${'x'.repeat(1000)}\r\n`)),
  drips: (socket) => {
    const timer = setInterval(() => socket.write('x'), 5)
    socket.once('close', () => clearInterval(timer))
  },
} as const satisfies Record<string, (socket: Socket) => void>

const send = (protocol: Protocol, payload: Uint8Array): void => {
  const { write } = protocol._packetRW
  const packet = write.alloc(payload.length)
  packet.set(payload, write.allocStart)
  utils.sendPacket(protocol, write.finalize(packet))
}

/** What happens at the login. */
const atLogin = {
  'never answers the login': () => {},
  'floods banners': ({ _protocol, _sock }: ServerClient) =>
    pour(_sock, () => {
      send(_protocol, concat(Uint8Array.of(53), encodeStrings('x'.repeat(20_000), '')))
      return !_sock.writableNeedDrain
    }),
} as const

/** What happens to a command. */
const atCommand = {
  'never answers the command': () => {},
  'closes without an exit status': (accept) => accept().close(),
  'cuts the connection': (accept, { _sock }) => {
    accept().write('half of it')
    setTimeout(() => _sock.resetAndDestroy(), 20)
  },
  'says exit 0, and cuts the connection': (accept, { _sock }) => {
    const channel = accept()
    channel.write('half of it')
    channel.exit(0)
    setTimeout(() => _sock.end(), 20)
  },
  'never ends': (accept) => {
    accept().write('begun')
  },
  'sends output without end': (accept) => {
    const channel = accept()
    const block = Buffer.alloc(32_768, 'y')
    const more = () => {
      while (channel.writable && channel.write(block));
      if (channel.writable) channel.once('drain', more)
    }
    more()
  },
  'sends more than its window': (accept, { _protocol, _sock }) => {
    const { id } = accept().outgoing
    const block = encodeString(new Uint8Array(32_000))
    pour(_sock, () => {
      send(_protocol, concat(Uint8Array.of(94), encodeUint32(id), block))
      return !_sock.writableNeedDrain
    })
  },
  'opens channels to us': (accept, client) => {
    const channel = accept()
    let refused = 0
    for (let count = 0; count < 500; count++) {
      client.x11('127.0.0.1', 1, (error) => {
        if (error === undefined || ++refused < 500) return
        channel.exit(0)
        channel.end('all refused')
      })
    }
  },
  'names a signal that is none': (accept, { _protocol }) => {
    const channel = accept()
    const name = encodeStrings('\u001b[31m\nroot')
    const fields = [encodeUint32(channel.outgoing.id), encodeString('exit-signal'), no, name, no]
    send(_protocol, concat(Uint8Array.of(98), ...fields, encodeStrings('', '')))
    channel.end()
  },
} as const satisfies Record<string, (accept: () => ServerChannel, client: ServerClient) => void>

export type Hostility = keyof typeof beforeKeys | keyof typeof atLogin | keyof typeof atCommand

export const startHostileSshd = async (how: Hostility): Promise<HostileSshd> => {
  const key = createMemoryKey(systemRandom)
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const ssh = new Server({ hostKeys: [Buffer.from(key.exportPrivateKey())] }, (client) => {
    client.on('error', () => {})
    client.on('authentication', (context) => {
      heard.push(`${context.method} ${context.username}`)
      if (how in atLogin) atLogin[how as keyof typeof atLogin](client)
      else context.accept()
    })
    client.on('session', (accept) => {
      accept().on(
        'exec',
        (acceptCommand: () => ServerChannel, _reject: unknown, info: { command: string }) => {
          heard.push(info.command)
          if (!(how in atCommand)) throw new TypeError('it was not to come to this')
          atCommand[how as keyof typeof atCommand](acceptCommand, client)
        },
      )
    })
  })
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    if (how in beforeKeys) beforeKeys[how as keyof typeof beforeKeys](socket)
    else ssh.injectSocket(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.freeze({
    port: (server.address() as AddressInfo).port,
    hostKey: key.publicKey,
    heard,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
}
