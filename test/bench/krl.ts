import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { createSerial, systemRandom } from '../../src/lib/ids.ts'
import { encodeKrl } from '../../src/ssh/krl.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { startTestApp } from '../app.ts'
import { logIn, ownLogin } from '../ssh/client.ts'
import { startSshd } from '../ssh/sshd.ts'
import { execute } from '../tools.ts'

export interface KrlFigures {
  readonly what: string
  readonly serials: number
  readonly bytes: number
  /** The median of nine. */
  readonly millis: number
}

const count = 100_000
const sequences: Readonly<Record<string, (at: number) => bigint>> = {
  'in a row': (at) => BigInt(at + 1),
  'one of seven': (at) => BigInt(at * 7 + 1 + (at % 5)),
  'at random, as ours are': () => createSerial(systemRandom),
}

/** How large a KRL of 100,000 serials is, and how long it takes to make. */
export const measureKrl = (): readonly KrlFigures[] => {
  const authority = encodePublicKey(generateKeyPairSync('ed25519').publicKey) as Uint8Array
  return Object.entries(sequences).map(([what, serial]) => {
    const serials = Array.from({ length: count }, (_, at) => serial(at))
    const times: number[] = []
    let bytes = 0
    for (let round = 0; round < 9; round++) {
      const start = performance.now()
      bytes = encodeKrl({
        version: 1n,
        generated: 0,
        certificates: [{ authority, serials }],
      }).length
      times.push(performance.now() - start)
    }
    return { what, serials: count, bytes, millis: times.sort((a, b) => a - b)[4] ?? Number.NaN }
  })
}

/**
 * From the order to revoke until a real sshd refuses the certificate, in milliseconds: a host that polls
 * GET /v1/krl at this interval, and somebody who tries to log in all the time.
 */
export const measureRefusal = async (intervalMillis: number): Promise<number> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const name = 'web-1.example.com'
  const key = join(dir, 'key')
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  const service = await startTestApp({
    policies: (issuer) => ({
      'a.yaml': `rules:
  - name: shop
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: ["${ownLogin}"]
    ttl: 5m
`,
    }),
  })
  const krl = join(dir, 'krl')
  const poll = async () => {
    const response = await service.request('/v1/krl')
    writeFileSync(`${krl}.new`, new Uint8Array(await response.arrayBuffer()))
    renameSync(`${krl}.new`, krl)
  }
  await poll()
  const caKey = (await (await service.request('/v1/ca/user.pub')).text()).trim()
  const sshd = await startSshd({
    name,
    dir: join(dir, name),
    caKeys: [caKey],
    logins: { [ownLogin]: [`${ownLogin}@${name}`] },
    settings: [`RevokedKeys "${krl}"`],
  })
  const stopped = new AbortController()
  const polling = (async () => {
    for (;;) {
      await wait(intervalMillis, undefined, { signal: stopped.signal })
      await poll()
    }
  })().catch(() => {})
  try {
    const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
    const response = await service.ask('maya', { publicKey, login: ownLogin, host: name })
    const { certificate: text, serial } = (await response.json()) as Record<string, string>
    const certificate = join(dir, 'id-cert.pub')
    writeFileSync(certificate, `${text}\n`)
    const isIn = async () => (await logIn({ sshd, key, certificate })).code === 0
    if (!(await isIn())) throw new Error('the certificate does not log in')
    const start = performance.now()
    const answer = await service.request('/v1/revocations', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await service.token('maya')}`,
      },
      body: JSON.stringify({ serial, reason: 'a figure' }),
    })
    if (answer.status !== 200) throw new Error(`revoking was answered ${answer.status}`)
    while (await isIn()) await wait(50)
    return performance.now() - start
  } finally {
    stopped.abort()
    await polling
    await Promise.all([sshd.stop(), service.close()])
    rmSync(dir, { recursive: true })
  }
}
