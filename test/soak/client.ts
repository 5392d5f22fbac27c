import { generateKeyPairSync } from 'node:crypto'
import { Agent, request } from 'node:http'
import { type LoggedEntry, parseEntry } from '../../src/audit/entry.ts'
import type { Head, Row } from '../../src/audit/store.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { encodeBase64, isEqual } from '../../src/lib/bytes.ts'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { openReader } from '../../src/store/index.ts'

/** An answer, or undefined where the connection broke before it was whole. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly retryAfter: string | undefined
  readonly millis: number
}

export interface Ask {
  readonly publicKey: string
  readonly host: string
  readonly login: string
  readonly ttl?: string
}

/** A certificate that a client holds in its hands, beside what it had asked for. */
export interface Received {
  readonly ask: Ask
  readonly certificate: string
}

export interface Client {
  /** `POST /v1/certificates`. Never rejects. */
  send(url: string, token: string, ask: unknown): Promise<Answer | undefined>
  close(): void
}

export const createClient = (
  options: { readonly connections?: number; readonly localAddress?: string } = {},
): Client => {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections ?? 16 })
  return Object.freeze({
    send: (url: string, token: string, ask: unknown) =>
      post({ url, token, text: JSON.stringify(ask), agent, localAddress: options.localAddress }),
    close: () => agent.destroy(),
  })
}

const post = (given: {
  readonly url: string
  readonly token: string
  readonly text: string
  readonly agent: Agent
  readonly localAddress: string | undefined
}): Promise<Answer | undefined> =>
  new Promise((resolve) => {
    const sent = performance.now()
    const call = request(
      `${given.url}/v1/certificates`,
      {
        method: 'POST',
        agent: given.agent,
        ...(given.localAddress === undefined ? {} : { localAddress: given.localAddress }),
        headers: {
          authorization: `Bearer ${given.token}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(given.text),
        },
      },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => {
          body += text
        })
        response.on('close', () =>
          resolve(
            response.complete
              ? {
                  status: response.statusCode ?? 0,
                  body,
                  retryAfter: response.headers['retry-after'],
                  millis: performance.now() - sent,
                }
              : undefined,
          ),
        )
        response.on('error', () => {})
      },
    )
    call.on('error', () => resolve(undefined))
    call.end(given.text)
  })

const makeKey = (): string => {
  const blob = encodePublicKey(generateKeyPairSync('ed25519').publicKey)
  if (blob === undefined) throw new TypeError('ed25519 has a blob')
  return `ssh-ed25519 ${encodeBase64(blob)}`
}

/** Users' keys: enough that a mix-up would be seen. */
export const keys: readonly string[] = Array.from({ length: 64 }, makeKey)

/** An ask that the policy of the world allows; each `n` its own. */
export const createAsk = (n: number): Ask => ({
  publicKey: keys[n % keys.length] as string,
  host: `web-${n}.example.com`,
  login: n % 2 === 0 ? 'deploy' : 'runner',
})

/** Keeps so many asks in flight until told to stop, and keeps what was received. */
export const createLoad = (given: {
  readonly url: string
  readonly token: string
  readonly connections: number
  readonly first: number
}) => {
  const client = createClient({ connections: given.connections })
  const received: Received[] = []
  const statuses = new Map<number, number>()
  const first = Promise.withResolvers<void>()
  let n = given.first
  let isStopped = false
  const worker = async () => {
    while (!isStopped) {
      const ask = createAsk(n++)
      const answer = await client.send(given.url, given.token, ask)
      if (answer === undefined) {
        // The service is gone or going: somebody else says when to stop.
        await new Promise((resolve) => setTimeout(resolve, 5))
        continue
      }
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status === 201) {
        const { certificate } = JSON.parse(answer.body) as { readonly certificate: string }
        received.push({ ask, certificate })
        first.resolve()
      }
    }
  }
  const workers = Promise.all(Array.from({ length: given.connections }, worker))
  return Object.freeze({
    received,
    statuses,
    /** Resolves with the first certificate. */
    hasReceived: () => first.promise,
    /** Resolves when no answer is awaited any more. */
    async stop() {
      isStopped = true
      first.resolve()
      await workers
      client.close()
      return n
    },
  })
}

/** The log of a service as somebody reads it from outside, on and on: each row once. */
export const createWitness = (path: string) => {
  let head: Head | undefined
  const issued = new Map<string, LoggedEntry[]>()
  return Object.freeze({
    count: () => head?.seq ?? 0,
    /** Verifies what has come since, and answers what is wrong with it. */
    async read(): Promise<readonly string[]> {
      const reader = await openReader(path)
      try {
        const rows: Row[] = []
        const from = head
        const verdict = await verifyLog(
          async (seq, limit) => {
            const page = await reader.read(seq, limit)
            rows.push(...page.filter(({ seq: number }) => number > (from?.seq ?? 0)))
            return page
          },
          from === undefined ? {} : { from },
        )
        if (!verdict.ok) return [`entry ${verdict.seq}: ${verdict.reason}`]
        if ((verdict.head?.seq ?? 0) < (from?.seq ?? 0)) return ['the log has become shorter']
        head = verdict.head
        for (const logged of rows.map(parseEntry)) {
          if (logged.entry.type !== 'allow') continue
          const { serial } = logged.entry.certificate
          issued.set(serial, [...(issued.get(serial) ?? []), logged])
        }
        return []
      } finally {
        await reader.close()
      }
    },
    /** What is wrong with a certificate that a client has received: nothing, or a sentence. */
    judge: (received: Received): string | undefined => judge(received, issued),
  })
}

const judge = (
  { ask, certificate }: Received,
  issued: ReadonlyMap<string, readonly LoggedEntry[]>,
): string | undefined => {
  const found = parseCertificate(certificate)
  const serial = found.serial.toString()
  const entries = issued.get(serial) ?? []
  if (entries.length !== 1) return `certificate ${serial} has ${entries.length} entries`
  const entry = entries[0]?.entry
  if (entry?.type !== 'allow') return `certificate ${serial} has an entry of another type`
  const principal = `${ask.login}@${ask.host}`
  const facts: readonly (readonly [string, boolean])[] = [
    ['text', entry.certificate.text === certificate],
    ['key', isEqual(found.publicKey, parsePublicKey(ask.publicKey).blob)],
    ['key', entry.ask.fingerprint === parsePublicKey(ask.publicKey).fingerprint],
    ['principals', found.principals.join() === principal],
    ['principals', entry.certificate.principals.join() === principal],
  ]
  const wrong = facts.find(([, holds]) => !holds)?.[0]
  return wrong === undefined ? undefined : `certificate ${serial} has another ${wrong} in its entry`
}
