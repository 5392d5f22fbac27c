import { execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The real service as a process of its own, and an issuer whose tokens it takes. */
export interface Service {
  readonly url: string
  /** The request every client sends. */
  readonly body: string
  mintTokens(count: number): string[]
  readUsage(): { readonly cpuMicros: number; readonly rssBytes: number }
  stop(): Promise<void>
}

/** As it is shipped and run: the built form, with the flags of the systemd unit and the image. */
const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const flags = ['--disable-sigusr1', '--disable-proto=delete', '--max-semi-space-size=8']

export const startService = async (): Promise<Service> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const issuer = await startIssuer()
  mkdirSync(join(dir, 'policies'))
  mkdirSync(join(dir, 'data'), { mode: 0o700 })
  writeFileSync(join(dir, 'policies', 'bench.yaml'), formatPolicy(issuer.url))
  writeFileSync(join(dir, 'postern.yaml'), formatConfig(issuer.url))
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'user_ca')])
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'id')])
  const publicKey = readFileSync(join(dir, 'id.pub'), 'utf8').trim()

  const child = spawn(
    process.execPath,
    [...flags, main, 'serve', '--config', join(dir, 'postern.yaml')],
    {
      stdio: ['ignore', 'pipe', openSync(join(dir, 'service.log'), 'a')],
    },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)))
    child.stdout?.on('data', (chunk: Buffer) => {
      const found = /http:\/\/[^\s]+/.exec(chunk.toString())
      if (found !== null) resolve(found[0])
    })
  })
  return {
    url,
    body: JSON.stringify({
      publicKey,
      host: 'web-1.example.com',
      login: 'deploy',
      reason: 'bench',
    }),
    mintTokens: issuer.mintTokens,
    readUsage: () => readProcess(child.pid as number),
    async stop() {
      child.kill('SIGTERM')
      await ended
      issuer.close()
      rmSync(dir, { recursive: true })
    },
  }
}

const startIssuer = async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' }
  const server = createServer((incoming, response) => {
    const isKeys = incoming.url === '/jwks'
    const body = isKeys ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/jwks` }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = encode({ alg: 'ES256', kid: 'bench', typ: 'JWT' })
  return {
    url,
    close: () => server.close(),
    mintTokens: (count: number) => {
      const now = Math.floor(Date.now() / 1000)
      return Array.from({ length: count }, () => {
        const claims = {
          iss: url,
          aud: 'postern-bench',
          sub: 'u-1',
          name: 'maya',
          jti: randomUUID(),
        }
        const payload = encode({ ...claims, groups: ['platform'], iat: now, exp: now + 1800 })
        const text = `${header}.${payload}`
        const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
        return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
      })
    },
  }
}

const formatConfig = (issuer: string): string => `listen: 127.0.0.1:0
dataDir: data
policyDir: policies
limits: { perAddress: off, perIdentity: off }
ca: { userKey: user_ca }
identity:
  oidc:
    - { issuer: "${issuer}", audience: postern-bench, algorithms: [ES256] }
`

const formatPolicy = (issuer: string): string => `rules:
  - name: bench
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    extensions: [permit-pty]
    ttl: 5m
`

/** CPU and resident memory of a process, from proc(5): field 14 and 15 are user and system time in 1/100 s. */
const readProcess = (pid: number) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const ticks = Number(fields[11]) + Number(fields[12])
  return { cpuMicros: ticks * 10_000, rssBytes: Number(fields[21]) * 4096 }
}
