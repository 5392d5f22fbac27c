/**
 * Everybody at once who means no good, in a process of their own so that they slow nobody down but
 * the service: slow senders, idle connections, floods of refusals, bodies of 50 MB. Reads its orders
 * as JSON from argv, says `ready`, and at SIGTERM what it was answered, as JSON.
 */
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'

export interface Orders {
  readonly url: string
  readonly idle: number
  readonly slow: number
  /** Connections that ask as fast as they are answered. */
  readonly denied: number
  readonly bodies: number
  /** Of somebody whom the policy allows nothing. */
  readonly token: string
}

export interface Outcome {
  readonly opened: number
  /** By status; 0 where the connection was cut without an answer. */
  readonly statuses: Readonly<Record<string, number>>
  /** Answers 429 and 503 that do not say when to come again. */
  readonly withoutRetryAfter: number
}

const orders = JSON.parse(process.argv[2] ?? '{}') as Orders
const { hostname, port } = new URL(orders.url)
const statuses: Record<string, number> = {}
let withoutRetryAfter = 0
let opened = 0
let isOver = false
let turn = 0

const count = (status: number, retryAfter: unknown) => {
  statuses[status] = (statuses[status] ?? 0) + 1
  if ((status === 429 || status === 503) && retryAfter === undefined) withoutRetryAfter++
}

/** All of 127.0.0.0/8 is this machine: many addresses, each with an allowance of its own. */
const nextAddress = (): string => {
  turn++
  return `127.1.${Math.floor(turn / 200) % 200}.${(turn % 200) + 2}`
}

/** Keeps a connection, and makes it anew whenever it is cut. */
const hold = (begin: (socket: Socket) => (() => void) | undefined): Promise<void> =>
  new Promise((resolve) => {
    const open = () => {
      if (isOver) return
      const socket = connect({ host: hostname, port: Number(port), localAddress: nextAddress() })
      let end: (() => void) | undefined
      socket.once('connect', () => {
        opened++
        end = begin(socket)
        resolve()
      })
      socket.on('error', () => {})
      socket.on('data', (bytes) => count(Number(bytes.toString('latin1', 9, 12)), 'by hand'))
      socket.once('close', () => {
        end?.()
        setTimeout(open, 1_000)
      })
    }
    open()
  })

/** A header that never ends, a byte a second. */
const drip = (socket: Socket) => {
  socket.write('POST /v1/certificates HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ')
  const timer = setInterval(() => socket.write('a'), 1_000)
  return () => clearInterval(timer)
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

const post = (token: string, address: string, send: (call: NodeJS.WritableStream) => void) =>
  new Promise<void>((resolve) => {
    const call = request(
      `${orders.url}/v1/certificates`,
      {
        method: 'POST',
        agent,
        localAddress: address,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      },
      (response) => {
        count(response.statusCode ?? 0, response.headers['retry-after'])
        response.resume()
        response.once('close', resolve)
        response.once('error', () => {})
      },
    )
    let isAnswered = false
    call.once('response', () => {
      isAnswered = true
    })
    call.once('error', () => {
      if (!isAnswered) count(0, undefined)
      resolve()
    })
    send(call)
  })

const ask = JSON.stringify({
  publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKYMmX4zUEBJDmhxEXUGRXOBTJbFFGEm9jNwOkV2hFnx',
  host: 'web-1.example.com',
  login: 'deploy',
})

const denied = async (at: number): Promise<void> => {
  const address = nextAddress()
  // Half of them are somebody, and half of them nobody.
  const token = at % 2 === 0 ? orders.token : `${orders.token.slice(0, -6)}AAAAAA`
  while (!isOver) await post(token, address, (call) => call.end(ask))
}

const megabyte = 'x'.repeat(1024 * 1024)

const bodies = async (): Promise<void> => {
  const address = nextAddress()
  while (!isOver) {
    await post(orders.token, address, async (call) => {
      for (let sent = 0; sent < 50 && call.writable; sent++) {
        if (!call.write(megabyte)) await new Promise((resolve) => setTimeout(resolve, 10))
      }
      call.end()
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const repeat = (times: number, work: (at: number) => Promise<void>): readonly Promise<void>[] =>
  Array.from({ length: times }, (_, at) => work(at))

// In groups: the backlog of a listening socket is short, and nobody may be refused by that alone.
for (let left = orders.idle; left > 0; left -= 500) {
  await Promise.all(repeat(Math.min(500, left), () => hold(() => undefined)))
}
await Promise.all(repeat(orders.slow, () => hold(drip)))
const floods = [...repeat(orders.denied, denied), ...repeat(orders.bodies, bodies)]
process.stdout.write('ready\n')
await new Promise((resolve) => process.once('SIGTERM', resolve))
isOver = true
await Promise.race([Promise.all(floods), new Promise((resolve) => setTimeout(resolve, 2_000))])
const outcome: Outcome = { opened, statuses, withoutRetryAfter }
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit(0))
