import { generateKeyPairSync, sign } from 'node:crypto'
import { copyFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type App, build } from '../../src/app.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import { createLogger } from '../../src/lib/log.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { formatSshsig } from '../../src/ssh/sshsig.ts'
import { createPublicKeyLine, publicUrl, startTestApp } from '../app.ts'

// The story: a host enrols, revokes nothing, asks for its trust again and again. Then the service is
// restarted, and later somebody puts an older log back. What the host has may never seem newer than
// what the service offers, a spent token stays spent, and the key it pinned is never made anew. Nor
// does a host that was taken off the list come back by a restart.

const quiet = createLogger('error', { write: () => {} })
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const blob = encodePublicKey(publicKey) as Uint8Array
const hostKey = `ssh-ed25519 ${encodeBase64(blob)}`
const host = 'web-1.example.com'

/** A service with a host that has enrolled, and what its admin and that host ask of it. */
const begin = async () => {
  // The key itself outlives a restart.
  const signer = { ...createMemorySigner(), close: async () => {} }
  const first = await startTestApp({
    overrides: { signer },
    policies: (issuer) => ({
      'a.yaml': `roles:\n  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]\nrules: []\n`,
    }),
  })
  const fetchFrom = (app: App, path: string, init: RequestInit = {}) =>
    app.fetch(new Request(`${publicUrl}${path}`, init), {
      incoming: { socket: { remoteAddress: '198.51.100.7', localPort: 443 } },
    })
  const send = (app: App, path: string, credentials: string, body: unknown) =>
    fetchFrom(app, path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${credentials}`,
        'content-type': typeof body === 'string' ? 'text/plain' : 'application/json',
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const asAdmin = async (app: App, method: string, path: string) => {
    const headers = { authorization: `Bearer ${await first.token()}` }
    return (await (await fetchFrom(app, path, { method, headers })).json()) as object
  }
  const readBundle = async (app: App) => (await fetchFrom(app, `/v1/hosts/${host}/trust`)).text()
  const order = { name: host, logins: ['deploy'] }
  const invited = await send(first.app, '/v1/hosts/invitations', await first.token(), order)
  const { token } = (await invited.json()) as { readonly token: string }
  const enrolled = await send(first.app, '/v1/hosts/enrol', token, { hostKeys: [hostKey] })
  expect(enrolled.status).toBe(201)
  const restart = (accepted = {}) => build(first.config, { logger: quiet, signer }, accepted)
  return { first, token, send, asAdmin, readBundle, restart }
}
const versionOf = (bundle: string) => Number(/^version (\d+)$/m.exec(bundle)?.[1])

test('a restart forgets no host, no report and no spent token (ATTACKS 222)', async () => {
  const { first, token, send, asAdmin, readBundle, restart } = await begin()
  try {
    const proof = { publicKey: createPublicKeyLine(), host, login: 'deploy' }
    expect((await send(first.app, '/v1/certificates', token, proof)).status).toBe(201)
    const time = `${new Date().toISOString().slice(0, 19)}Z`
    const text = `postern-report v1\nhost ${host}\nversion 3\ntime ${time}\nend\n`
    const signature = formatSshsig({
      publicKey: blob,
      namespace: 'postern-host@v1',
      message: encodeUtf8(text),
      sign: (data) => encodeSignature('ssh-ed25519', sign(null, data, privateKey)),
    })
    const report = await send(first.app, `/v1/hosts/${host}/report`, token, text + signature)
    expect(report.status).toBe(204)
    const before = await readBundle(first.app)
    const key = first.app.trustKey
    await first.app.close()
    const path = join(first.config.dataDir, 'trust.key')
    expect(statSync(path).mode & 0o777).toBe(0o600)

    const second = await restart()
    try {
      expect(second.trustKey).toBe(key)
      expect(await readBundle(second), 'the same bundle, to the byte').toBe(before)
      expect((await send(second, '/v1/hosts/enrol', token, { hostKeys: [hostKey] })).status).toBe(
        401,
      )
      expect((await send(second, '/v1/certificates', token, proof)).status).toBe(403)
      expect(await asAdmin(second, 'GET', `/v1/hosts/${host}`)).toMatchObject({
        trustVersion: 3,
        source: 'enrolled',
      })
    } finally {
      await second.close()
    }

    rmSync(path)
    await expect(restart()).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The trust key is gone, and hosts that enrolled know the service by it.',
      hint: `put ${path} back from a copy of it`,
    })
  } finally {
    await first.close()
  }
})

test('a host taken off stays off after a restart, and its version rises past an older log (ATTACKS 211)', async () => {
  const { first, asAdmin, readBundle, restart } = await begin()
  try {
    const granting = await readBundle(first.app)
    await first.app.close()
    const path = join(first.config.dataDir, 'postern.db')
    copyFileSync(path, `${path}.old`)

    const second = await restart()
    expect(await asAdmin(second, 'DELETE', `/v1/hosts/${host}`)).toEqual({ name: host })
    const off = await readBundle(second)
    await second.close()
    expect(off).toMatch(/^postern-trust v1\nhost \S+\nversion \d+\nkrl \d+ \S+\nend\n-----BEGIN/)
    expect(versionOf(off)).toBeGreaterThan(versionOf(granting))
    const third = await restart()
    expect(await readBundle(third), 'the same bundle, to the byte').toBe(off)
    await third.close()

    // Somebody puts the older log back, and takes that upon themselves: what it says holds again, as
    // something newer than all that hosts have seen.
    for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
    copyFileSync(`${path}.old`, path)
    await expect(restart()).rejects.toMatchObject({ code: 'log_rollback' })
    const fourth = await restart({ rollback: true })
    const again = await readBundle(fourth)
    await fourth.close()
    expect(again).toContain(`\nprincipal deploy deploy@${host}\n`)
    expect(versionOf(again)).toBeGreaterThan(versionOf(off))
    const fifth = await restart()
    expect(await readBundle(fifth)).toBe(again)
    await fifth.close()
  } finally {
    await first.close()
  }
})
