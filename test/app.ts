import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type App, build, type Overrides, openLog } from '../src/app.ts'
import { type LoggedEntry, parseEntry } from '../src/audit/entry.ts'
import { createMemorySigner } from '../src/ca/signers/memory.ts'
import type { Config } from '../src/config.ts'
import { encodeBase64 } from '../src/lib/bytes.ts'
import { createLogger } from '../src/lib/log.ts'
import { encodePublicKey } from '../src/ssh/native.ts'
import { type OidcIssuer, startOidcIssuer } from './fakes/oidc.ts'

/** The production composition over a temporary directory, with an issuer whose tokens it takes. */
export interface TestApp {
  readonly app: App
  readonly config: Config
  readonly issuer: OidcIssuer
  readonly dir: string
  /** The service's log so far, a line of JSON each. */
  readonly lines: readonly string[]
  /** A token of maya (in the group platform) or sam (in none). */
  token(user?: string): Promise<string>
  /** In process, through `fetch`; every invariant of an answer is checked on the way. */
  request(path: string, init?: RequestInit, from?: From): Promise<Response>
  /** `POST /v1/certificates` with a good ask, over which `changes` are laid. */
  ask(user: string | undefined, changes?: Record<string, unknown>): Promise<Response>
  /** The log of decisions, oldest first. */
  rows(): Promise<readonly LoggedEntry[]>
  close(): Promise<void>
}

export interface From {
  readonly address?: string
  readonly localPort?: number
  readonly target?: string
}

/** A new ed25519 key, as an `id_ed25519.pub` has it. */
export const createPublicKeyLine = (): string => {
  const blob = encodePublicKey(generateKeyPairSync('ed25519').publicKey)
  if (blob === undefined) throw new TypeError('ed25519 has a blob')
  return `ssh-ed25519 ${encodeBase64(blob)}`
}

export const publicUrl = 'https://postern.example.com'

const formatPolicy = (issuer: string): string => `rules:
  - name: platform-deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    extensions: [permit-pty]
    ttl: 5m
    maxTtl: 15m
`

export const startTestApp = async (
  options: {
    /** Texts by file name, in place of the one rule that lets `platform` deploy. */
    readonly policies?: (issuer: string) => Readonly<Record<string, string>>
    readonly config?: Partial<Config>
    readonly overrides?: Overrides
    readonly level?: string
  } = {},
): Promise<TestApp> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-test-'))
  const { clock } = options.overrides ?? {}
  const issuer = await startOidcIssuer(clock === undefined ? {} : { clock })
  const policyDir = join(dir, 'policies')
  mkdirSync(policyDir)
  const policies = options.policies?.(issuer.issuer) ?? { 'a.yaml': formatPolicy(issuer.issuer) }
  for (const [name, text] of Object.entries(policies)) writeFileSync(join(policyDir, name), text)
  const lines: string[] = []
  const config = createTestConfig(dir, issuer.issuer, options.config)
  const remove = async () => {
    await issuer.close()
    rmSync(dir, { recursive: true })
  }
  const app = await build(config, {
    logger: createLogger(options.level ?? 'debug', { write: (line) => lines.push(line) }),
    signer: createMemorySigner(),
    ...options.overrides,
  }).catch(async (error) => {
    await remove()
    throw error
  })

  const rows = async () => {
    const { store } = options.overrides ?? {}
    if (store !== undefined) return (await store.read(1, 10_000)).map(parseEntry)
    const reader = await openLog(config)
    try {
      return (await reader.read(1, 10_000)).map(parseEntry)
    } finally {
      await reader.close()
    }
  }
  const request = async (path: string, init: RequestInit = {}, from: From = {}) => {
    const url = new URL(path.startsWith('/') ? `${publicUrl}${path}` : path)
    const { address = '198.51.100.7', localPort = 443, target = path } = from
    const socket = { remoteAddress: address, localPort }
    const response = await app.fetch(new Request(url, init), {
      incoming: { url: target, socket },
    })
    await checkInvariants(response.clone(), init.method)
    return response
  }
  const token = (user = 'maya') => issuer.mintFor(user)
  return Object.freeze({
    app,
    config,
    issuer,
    dir,
    lines,
    token,
    request,
    rows,
    async ask(user: string | undefined, changes: Record<string, unknown> = {}) {
      const body = {
        publicKey: createPublicKeyLine(),
        host: 'web-1.example.com',
        login: 'deploy',
        ...changes,
      }
      return request('/v1/certificates', {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(user === undefined ? {} : { authorization: `Bearer ${await token(user)}` }),
        },
        body: JSON.stringify(body),
      })
    },
    async close() {
      await app.close()
      await remove()
    },
  })
}

/** A whole configuration over a directory. */
export const createTestConfig = (
  dir: string,
  issuer: string,
  changes: Partial<Config> = {},
): Config => ({
  file: join(dir, 'postern.yaml'),
  listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  publicUrl,
  dataDir: join(dir, 'data'),
  policyDir: join(dir, 'policies'),
  knownHostsOnly: false,
  trustedProxies: [],
  limits: { perAddress: 'off', perIdentity: 'off', inFlight: 64 },
  ca: {
    userKey: { kind: 'file', path: join(dir, 'user_ca') },
    maxTtlSeconds: 3600,
    backdateSeconds: 60,
  },
  identity: {
    github: [],
    oidc: [
      {
        issuer,
        audience: ['postern'],
        algorithms: ['ES256'],
        groupsClaim: 'groups',
        maxTokenAgeSeconds: 3600,
      },
    ],
  },
  audit: { checkpoints: join(dir, 'data', 'checkpoints') },
  metrics: {},
  log: { level: 'info' },
  ...changes,
})

/** What must hold of every answer, whatever was asked (the head of test/ATTACKS.md's list). */
export const checkInvariants = async (response: Response, method = 'GET'): Promise<void> => {
  const { status, headers } = response
  const text = await response.text()
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  // A page may have its own style, and nothing else; whatever is no page may have nothing at all.
  expect(headers.get('content-security-policy')).toMatch(
    headers.get('content-type')?.startsWith('text/html')
      ? /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/
      : /^default-src 'none'; frame-ancestors 'none'$/,
  )
  expect(headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{24}$/)
  for (const absent of ['access-control-allow-origin', 'set-cookie', 'content-encoding']) {
    expect(headers.has(absent), absent).toBe(false)
  }
  // A trust bundle alone has one, and says with it that there is nothing new.
  if (status !== 200 && status !== 304) expect(headers.has('etag')).toBe(false)
  if (status === 401) expect(headers.get('www-authenticate')).toMatch(/^Bearer/)
  if (status < 400 || headers.get('content-type') === 'application/json' || method === 'HEAD')
    return
  expect(text).not.toContain('cert-v01')
  expect(headers.get('content-type')).toBe('application/problem+json')
  const problem = JSON.parse(text)
  expect(problem).toEqual({
    type: `/problems/${problem.code}`,
    title: expect.any(String),
    status,
    detail: expect.stringMatching(/^[A-Z].*\.$/s),
    code: expect.stringMatching(/^[a-z_]+$/),
    requestId: headers.get('x-request-id'),
  })
}

/** The problem of a refusal, as its status, code and sentence. */
export const readProblem = async (response: Response) => {
  const { status, code, detail } = (await response.json()) as Record<string, unknown>
  return { status, code, detail }
}
