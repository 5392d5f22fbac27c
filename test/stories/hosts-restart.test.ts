import { generateKeyPairSync, sign } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { build } from '../../src/app.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import { createLogger } from '../../src/lib/log.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { formatSshsig } from '../../src/ssh/sshsig.ts'
import { createPublicKeyLine, publicUrl, startTestApp } from '../app.ts'

// The story: a host enrols, revokes nothing, asks for its trust again and again. Then the service is
// restarted, and later somebody puts an older log back. What the host has may never seem newer than
// what the service offers, a spent token stays spent, and the key it pinned is never made anew.

const quiet = createLogger('error', { write: () => {} })
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const blob = encodePublicKey(publicKey) as Uint8Array
const hostKey = `ssh-ed25519 ${encodeBase64(blob)}`
const host = 'web-1.example.com'

test('a restart forgets no host, no report and no spent token (ATTACKS 222)', async () => {
  // The key itself outlives a restart.
  const signer = { ...createMemorySigner(), close: async () => {} }
  const first = await startTestApp({
    overrides: { signer },
    policies: (issuer) => ({
      'a.yaml': `roles:\n  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]\nrules: []\n`,
    }),
  })
  const send = async (app: typeof first.app, path: string, credentials: string, body: unknown) =>
    app.fetch(
      new Request(`${publicUrl}${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${credentials}`,
          'content-type': typeof body === 'string' ? 'text/plain' : 'application/json',
        },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
      { incoming: { socket: { remoteAddress: '198.51.100.7', localPort: 443 } } },
    )
  const read = async (app: typeof first.app) => {
    const url = `${publicUrl}/v1/hosts/${host}/trust`
    return (await app.fetch(new Request(url))).text()
  }
  try {
    const order = { name: host, logins: ['deploy'] }
    const invited = await send(first.app, '/v1/hosts/invitations', await first.token(), order)
    const { token } = (await invited.json()) as { readonly token: string }
    expect((await send(first.app, '/v1/hosts/enrol', token, { hostKeys: [hostKey] })).status).toBe(
      201,
    )
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
    const before = await read(first.app)
    const key = first.app.trustKey
    await first.app.close()
    const path = join(first.config.dataDir, 'trust.key')
    expect(statSync(path).mode & 0o777).toBe(0o600)

    const second = await build(first.config, { logger: quiet, signer })
    try {
      expect(second.trustKey).toBe(key)
      expect(await read(second), 'the same bundle, to the byte').toBe(before)
      expect((await send(second, '/v1/hosts/enrol', token, { hostKeys: [hostKey] })).status).toBe(
        401,
      )
      expect((await send(second, '/v1/certificates', token, proof)).status).toBe(403)
      const shown = await second.fetch(
        new Request(`${publicUrl}/v1/hosts/${host}`, {
          headers: { authorization: `Bearer ${await first.token()}` },
        }),
      )
      expect(await shown.json()).toMatchObject({ trustVersion: 3, source: 'enrolled' })
    } finally {
      await second.close()
    }

    rmSync(path)
    await expect(build(first.config, { logger: quiet, signer })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The trust key is gone, and hosts that enrolled know the service by it.',
      hint: `put ${path} back from a copy of it`,
    })
  } finally {
    await first.close()
  }
})
