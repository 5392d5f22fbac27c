import { connect, type Socket } from 'node:net'

/** What a server sent on one connection, and whether it has ended it. */
export interface RawAnswer {
  readonly text: string
  readonly isClosed: boolean
  /** The first answer, read apart. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const parse = (text: string, isClosed: boolean): RawAnswer => {
  const [head = '', body = ''] = text.split(/\r\n\r\n([\s\S]*)/)
  const [line = '', ...fields] = head.split('\r\n')
  const headers = fields.map((field) => {
    const at = field.indexOf(':')
    return [field.slice(0, at).toLowerCase(), field.slice(at + 1).trim()]
  })
  const status = Number(line.split(' ')[1])
  return { text, isClosed, status, headers: Object.fromEntries(headers), body }
}

/** Opens a connection; resolves once it is made, or refused. */
export const openSocket = (url: string): Promise<Socket> => {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket)).once('close', () => resolve(socket))
  })
}

/**
 * Sends bytes as they are, with `{host}` replaced, and gives what came back until the server ended
 * the connection, or was silent for `silence` milliseconds: long before its first byte, since a busy
 * machine may let it wait, and for less once it has answered and means to go on.
 */
export const sendRaw = async (
  url: string,
  given: string | Uint8Array,
  silence?: number,
): Promise<RawAnswer> => {
  const socket = await openSocket(url)
  const bytes = typeof given === 'string' ? given.replaceAll('{host}', new URL(url).host) : given
  let text = ''
  return new Promise((resolve) => {
    const finish = (isClosed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(parse(text, isClosed))
    }
    let timer = setTimeout(() => finish(false), silence ?? 3000)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      clearTimeout(timer)
      const isAnswered = /\r\nConnection: keep-alive\r\n/.test(text)
      timer = setTimeout(() => finish(false), isAnswered ? 30 : (silence ?? 150))
    })
    socket.on('close', () => finish(true))
    socket.write(bytes)
  })
}
