import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { adapter } from './adapters/postern.ts'
import { audience, startIssuers } from './issuer.ts'
import { readProcess, type Target } from './target.ts'

/** As it is shipped and run: the built form, with the flags of the systemd unit and the image. */
const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
export const flags = [
  '--disable-sigusr1',
  '--disable-proto=delete',
  '--max-semi-space-size=4',
  '--no-maglev',
  '--use-largepages=silent',
]

/** A directory that the service can run in, and issuers whose tokens it takes. */
export interface Site {
  readonly dir: string
  readonly dataDir: string
  /** The first of the issuers. */
  readonly issuer: string
  /** The service's own certificate as PEM, where it speaks HTTPS. */
  readonly ca?: string
  mintTokens(count: number): string[]
  remove(): void
}

/** The real service as a process of its own. */
export interface Service extends Target {
  /** From the start of the process to its ready line. */
  readonly readyMillis: number
  readUsage(): { readonly cpuMicros: number; readonly rssBytes: number }
  stop(): Promise<void>
}

export const createSite = async (
  given: {
    readonly rules?: number
    readonly issuers?: number
    /** Lines of YAML in the place of the issuers, and of who they let in. */
    readonly identity?: (dir: string) => string
    readonly who?: string
    readonly isTls?: boolean
  } = {},
): Promise<Site> => {
  const { rules = 1, issuers: count = 1 } = given
  const dir = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const issuers = await startIssuers(count)
  const dataDir = join(dir, 'data')
  mkdirSync(join(dir, 'policies'))
  mkdirSync(dataDir, { mode: 0o700 })
  const who = given.who ?? issuers.urls.map(formatWho).join(', ')
  for (const [n, text] of listPolicies(who, rules).entries()) {
    writeFileSync(join(dir, 'policies', `${n}.yaml`), text)
  }
  const identity = given.identity?.(dir) ?? `  oidc:\n${issuers.urls.map(formatIssuer).join('')}`
  const tls = given.isTls === true ? 'tls: { cert: tls.crt, key: tls.key }\n' : ''
  writeFileSync(join(dir, 'postern.yaml'), `${tls}${formatConfig(identity)}`)
  const ca = given.isTls === true ? { ca: createTlsKey(dir) } : {}
  for (const name of ['user_ca', 'id']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)])
  }
  return {
    dir,
    dataDir,
    issuer: issuers.urls[0] as string,
    ...ca,
    mintTokens: issuers.mintTokens,
    remove() {
      issuers.close()
      rmSync(dir, { recursive: true })
    },
  }
}

export const startService = async (site: Site): Promise<Service> => {
  const { dir, mintTokens, ca } = site
  const started = performance.now()
  const child = spawn(
    process.execPath,
    [...flags, main, 'serve', '--config', join(dir, 'postern.yaml')],
    { stdio: ['ignore', 'pipe', openSync(join(dir, 'service.log'), 'a')] },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => {
      const log = readFileSync(join(dir, 'service.log'), 'utf8').slice(-1000)
      reject(new Error(`the service ended with ${code}: ${log}`))
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      const found = /https?:\/\/[^\s]+/.exec(chunk.toString())
      if (found !== null) resolve(found[0])
    })
  })
  return {
    url,
    ...(ca === undefined ? {} : { ca }),
    adapter,
    readyMillis: performance.now() - started,
    publicKey: readFileSync(join(dir, 'id.pub'), 'utf8').trim(),
    mintTokens,
    readUsage: () => readProcess(child.pid as number),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** A P-256 key with a certificate of its own for this address; answers the certificate. */
const createTlsKey = (dir: string): string => {
  const [key, cert] = [join(dir, 'tls.key'), join(dir, 'tls.crt')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const given = ['req', '-x509', ...curve, ...names, '-days', '1', '-keyout', key, '-out', cert]
  execFileSync('openssl', given, { stdio: 'ignore' })
  chmodSync(key, 0o600)
  return readFileSync(cert, 'utf8')
}

const formatIssuer = (url: string): string =>
  `    - { issuer: "${url}", audience: ${audience}, algorithms: [ES256] }\n`

const formatWho = (url: string): string => `{ oidc: { issuer: "${url}", groups: [platform] } }`

const formatConfig = (identity: string): string => `listen: 127.0.0.1:0
dataDir: data
policyDir: policies
limits: { perAddress: off, perIdentity: off }
ca: { userKey: user_ca }
identity:
${identity}`

/** A file may have a megabyte. */
const rulesPerFile = 2000

/** The texts of the policy's files. The rule that decides stands in the middle of the others, which speak of other hosts. */
const listPolicies = (who: string, count: number): readonly string[] => {
  const format = (name: string, host: string) => `  - name: ${name}
    who: [{ identities: those }]
    hosts: ["${host}"]
    logins: [deploy]
    extensions: [permit-pty]
    ttl: 5m
`
  const middle = Math.floor(count / 2)
  const rules = Array.from({ length: count }, (_, n) =>
    n === middle
      ? format('bench', 'web-*.example.com')
      : format(`other-${n}`, `db-${n}-*.example.com`),
  )
  const files = Array.from({ length: Math.ceil(count / rulesPerFile) }, (_, n) => {
    const some = rules.slice(n * rulesPerFile, (n + 1) * rulesPerFile)
    return `rules:\n${some.join('')}`
  })
  return [`identities:\n  those: [${who}]\n`, ...files]
}
