import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { bundleNamespace, formatBundle } from '../../src/hosts/bundle.ts'
import { createTrustKey } from '../../src/hosts/trust-key.ts'
import { encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { encodeKrl } from '../../src/ssh/krl.ts'
import { findSshsigFault } from '../../src/ssh/sshsig.ts'
import { execute } from '../tools.ts'
import { readBody, serve } from './http.ts'
import { type Answer, faults, type Good, plain, whole } from './trust-faults.ts'

const scripts = join(import.meta.dirname, '../../src/hosts/scripts')

/** What the hosts of a fake service are told to trust. */
export interface Told {
  readonly version: number
  readonly caKeys: readonly string[]
  readonly logins: readonly string[]
  readonly revoked: readonly bigint[]
  /** Public keys that are revoked themselves, `TYPE BASE64` each. */
  readonly revokedKeys: readonly string[]
}

/** The enrolment script as `GET /enrol` answers it. */
export const readEnrolScript = (url: string): string =>
  readFileSync(join(scripts, 'enrol.sh'), 'utf8').replaceAll('@publicUrl@', url)

/** A service for hosts, which enrols whoever comes and can be told to break. */
export interface TrustService {
  readonly url: string
  /** For the enrolment script. */
  readonly token: string
  told(): Told
  /** The KRL that hosts are told of. */
  krl(): Uint8Array
  /** What hosts are told from now on, with the next version. */
  tell(changes: Partial<Omit<Told, 'version'>>): void
  /** One of `faults` in place of each bundle, until it is told to behave again. */
  misbehave(fault?: string): void
  /** A certificate of this CA for `key` (a private key's path), beside it as `KEY-NAME-cert.pub`. */
  certify(key: string, name: string, serial: number, principals: string): Promise<string>
  /** Each report a host key really signed: host and version. */
  readonly reports: readonly string[]
  /** Every request, as `GET /path status`. */
  readonly requests: readonly string[]
  /** What a host of this name enrolled with last. */
  hostKeys(name: string): readonly string[] | undefined
  /** What the proof of an enrolment is certified for, in place of what it asks. */
  spoilProof(principals?: string): void
  close(): Promise<void>
}

export const startTrustService = async (given: { readonly dir: string }): Promise<TrustService> => {
  const caFile = join(given.dir, 'fake_ca')
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', caFile])
  const caKey = readFileSync(`${caFile}.pub`, 'utf8').trim()
  const key = createTrustKey(generateKeyPairSync('ed25519').privateKey)
  const token = `${'x'.repeat(43)}.${encodeBase64(key.blob)}`
  const reports: string[] = []
  const requests: string[] = []
  const hostKeys = new Map<string, readonly string[]>()
  let told: Told = { version: 7, caKeys: [caKey], logins: [], revoked: [], revokedKeys: [] }
  const oldest = told
  let fault: string | undefined
  let proof: string | undefined

  const authority = parsePublicKey(caKey).blob
  const krlOf = ({ version, revoked, revokedKeys }: Told) =>
    encodeKrl({
      version: BigInt(version),
      generated: 1_700_000_000,
      certificates: [{ authority, serials: revoked }],
      keys: revokedKeys.map((line) => parsePublicKey(line).blob),
    })
  const format = (host: string, now: Told): string =>
    formatBundle({ host, ...now, krl: krlOf(now) })
  const answerTrust = (host: string, request: IncomingMessage): Answer => {
    const text = format(host, told)
    if (fault !== undefined) {
      const older = format(host, oldest)
      const make = faults[fault] as (good: Good) => Answer
      return make({ text, key, older: older + key.sign(bundleNamespace, older) })
    }
    return request.headers['if-none-match'] === `"${told.version}"`
      ? { status: 304, body: '' }
      : plain(whole({ text, key, older: '' }))
  }
  const certify = async (path: string, name: string, serial: number, principals: string) => {
    const made = `${path}-${name}`
    writeFileSync(`${made}.pub`, readFileSync(`${path}.pub`))
    const validity = ['-n', principals, '-V', '-1m:+1h']
    const args = ['-q', '-s', caFile, '-I', name, '-z', `${serial}`, ...validity]
    const { code, stderr } = await execute('ssh-keygen', [...args, `${made}.pub`])
    if (code !== 0) throw new Error(stderr)
    return `${made}-cert.pub`
  }
  const report = (host: string, body: string): Answer => {
    const at = body.indexOf('-----BEGIN')
    const message = encodeUtf8(body.slice(0, at))
    const isBy = (line: string) =>
      findSshsigFault(body.slice(at), {
        publicKey: parsePublicKey(line).blob,
        namespace: 'postern-host@v1',
        message,
      }) === undefined
    const found = /^postern-report v1\nhost (.*)\nversion (\d+)\ntime .*Z\nend\n$/.exec(
      body.slice(0, at),
    )
    if (found === null || !(hostKeys.get(host) ?? []).some(isBy)) return { status: 403, body: '' }
    reports.push(`${found[1]} ${found[2]}`)
    return { status: 204, body: '' }
  }
  const enrol = (body: string): Answer => {
    const asked = JSON.parse(body) as { name?: string; hostKeys: readonly string[] }
    const { name = 'web-1.example.com' } = asked
    hostKeys.set(name, asked.hostKeys)
    const text = format(name, told)
    return { ...plain(whole({ text, key, older: '' })), status: 201 }
  }
  const prove = async (body: string): Promise<Answer> => {
    const asked = JSON.parse(body) as { publicKey: string; login: string; host: string }
    const path = join(given.dir, 'proof')
    writeFileSync(`${path}.pub`, asked.publicKey)
    const principals = proof ?? `${asked.login}@${asked.host}`
    const certificate = readFileSync(await certify(path, 'proof', 1, principals), 'utf8').trim()
    return { status: 201, body: JSON.stringify({ certificate, serial: '1' }) }
  }
  const script = () => readFileSync(join(scripts, 'postern-host.sh'), 'utf8')

  const route = async (request: IncomingMessage): Promise<Answer> => {
    const what = `${request.method} ${request.url}`
    const [, host, end] = /^\w+ \/v1\/hosts\/([^/]+)\/(trust|report)$/.exec(what) ?? []
    if (host !== undefined && end === 'trust') return answerTrust(host, request)
    if (what === 'GET /enrol') return plain(readEnrolScript(server.url))
    if (what === 'GET /enrol/postern-host') return plain(script())
    if (what === 'GET /enrol/postern-host.sig') {
      return plain(key.sign('postern-script@v1', script()))
    }
    const body = await readBody(request)
    if (host !== undefined) return report(host, body)
    if (request.headers.authorization !== `Bearer ${token}`) {
      return { status: 401, body: '{"detail":"This token was used or has ended."}' }
    }
    return what === 'POST /v1/hosts/enrol' ? enrol(body) : prove(body)
  }
  const send = async (response: ServerResponse, answer: Answer) => {
    const { status, body, type = 'text/plain; charset=utf-8', location } = answer
    const bytes = Buffer.from(body)
    response.writeHead(status, {
      'content-type': type,
      ...(location === undefined ? {} : { location }),
      ...(status === 304 || status === 204
        ? {}
        : { 'content-length': answer.announced ?? bytes.length }),
    })
    if (answer.hangs === true) {
      response.write(bytes.subarray(0, bytes.length / 2))
      return
    }
    response.write(bytes)
    // What was announced and does not come is a connection that breaks.
    if (answer.announced !== undefined && answer.announced > bytes.length) {
      await wait(5)
      response.destroy()
    } else response.end()
  }
  const server = await serve(async (request, response) => {
    const answer = await route(request)
    requests.push(`${request.method} ${request.url} ${answer.status}`)
    await send(response, answer)
  })

  return Object.freeze({
    url: server.url,
    token,
    told: () => told,
    krl: () => krlOf(told),
    tell(changes: Partial<Omit<Told, 'version'>>) {
      told = { ...told, ...changes, version: told.version + 1 }
    },
    misbehave(name?: string) {
      fault = name
    },
    spoilProof(principals?: string) {
      proof = principals
    },
    certify,
    reports,
    requests,
    hostKeys: (name: string) => hostKeys.get(name),
    close: server.close,
  })
}
