import { generateKeyPairSync } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { build } from '../../src/app.ts'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { createLogger } from '../../src/lib/log.ts'
import { formatProofMessage } from '../../src/lib/proof.ts'
import { publicUrl, readProblem, startTestApp } from '../app.ts'
import { createDirectory, createKeyFile, runTool } from '../ca/tools.ts'

const directory = createDirectory()
afterAll(directory.remove)
const path = `${directory.path}/key`
const publicKey = createKeyFile('ssh-ed25519', path).trim()

const policies = (issuer: string) => ({
  'a.yaml': `rules:
  - name: proven
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [web-1.example.com]
    logins: [deploy]
    require: { proof: true }
    ttl: 5m
  - name: few
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [few.example.com]
    logins: [deploy]
    maxPerHour: 2
    alert: true
    sourceAddresses: caller
    ttl: 5m
`,
})

/** An ask with its proof, as a client with ssh-keygen makes it. */
const prove = (changes: Record<string, string> = {}, time = new Date()) => {
  const wanted = { publicKey, host: 'web-1.example.com', login: 'deploy', ...changes }
  const claim = { wanted, time: time.toISOString() }
  const signature = runTool(
    'ssh-keygen',
    ['-q', '-Y', 'sign', '-f', path, '-n', 'postern-request@v1', '-'],
    { input: Buffer.from(formatProofMessage(claim, publicUrl)).toString() },
  )
  return { ...wanted, proof: { time: claim.time, signature } }
}

const refused = {
  status: 401,
  code: 'pop_failed',
  detail:
    'The proof of possession is not accepted: sign this very request with the key to be certified, now, and send each proof once.',
}

describe('a rule that requires a proof', () => {
  test('is met by one, once, and the entry holds its hash; also after a restart [ATTACKS 15, 16]', async () => {
    const caKey = generateKeyPairSync('ed25519').privateKey
    const overrides = { signer: createMemorySigner(caKey) }
    const service = await startTestApp({ policies, overrides })
    try {
      expect(await readProblem(await service.ask('maya', { publicKey }))).toEqual({
        status: 403,
        code: 'proof_required',
        detail:
          'Sign the request with the key to be certified, and send the signature as its proof.',
      })
      const proven = prove()
      expect((await service.ask('maya', proven)).status).toBe(201)
      expect(await readProblem(await service.ask('maya', proven))).toEqual(refused)
      const changed = await service.ask('maya', { ...prove(), ttl: '1m' })
      expect(await readProblem(changed)).toEqual(refused)
      expect(changed.headers.get('www-authenticate')).toBe('Bearer')

      const rows = (await service.rows()).map(({ entry }) => entry)
      const allowed = rows.filter(({ type }) => type === 'allow')
      expect(allowed).toMatchObject([{ proof: expect.stringMatching(/^[0-9a-f]{64}$/) }])
      expect(rows.slice(-2)).toMatchObject([
        { type: 'deny', code: 'pop_failed', detail: 'it has been used before' },
        { type: 'deny', code: 'pop_failed', detail: 'the signature does not verify' },
      ])

      await service.app.close()
      const again = await build(service.config, {
        signer: createMemorySigner(caKey),
        logger: createLogger('silent'),
      })
      try {
        const send = async (body: unknown) =>
          again.fetch(
            new Request(`${publicUrl}/v1/certificates`, {
              method: 'POST',
              headers: {
                authorization: `Bearer ${await service.token()}`,
                'content-type': 'application/json',
              },
              body: JSON.stringify(body),
            }),
            { incoming: { url: '/v1/certificates', socket: { remoteAddress: '192.0.2.1' } } },
          )
        expect(await readProblem(await send(proven))).toEqual(refused)
        expect((await send(prove())).status).toBe(201)
      } finally {
        await again.close()
      }
    } finally {
      await service.close()
    }
  })

  test('takes no proof of another shape', async () => {
    const service = await startTestApp({ policies })
    try {
      for (const proof of [
        'proof',
        null,
        [],
        { signature: 'x' },
        { time: 1, signature: 'x' },
        { time: 'x', signature: 'x', key: 'x' },
      ]) {
        expect(await readProblem(await service.ask('maya', { proof }))).toEqual({
          status: 400,
          code: 'invalid_request',
          detail: 'The proof is not valid: send {"time": …, "signature": …}, both strings.',
        })
      }
    } finally {
      await service.close()
    }
  })
})

describe('a rule with a ceiling and an alert', () => {
  test('issues so many in an hour, each bound to its caller and told aloud', async () => {
    const service = await startTestApp({ policies })
    try {
      const few = { host: 'few.example.com' }
      const answers = await Promise.all([1, 2, 3, 4].map(() => service.ask('maya', few)))
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 403, 403])
      const issued = answers.find(({ status }) => status === 201) as Response
      expect(await issued.json()).toMatchObject({
        criticalOptions: { 'source-address': '198.51.100.7/32' },
      })
      const denied = answers.find(({ status }) => status === 403) as Response
      expect(await readProblem(denied)).toEqual({
        status: 403,
        code: 'quota_exceeded',
        detail:
          'All 2 certificates that may be issued for this in an hour have been: try again later.',
      })
      const alerts = service.lines.filter((line) =>
        line.includes('"alert: a certificate was issued"'),
      )
      expect(alerts).toHaveLength(2)
      expect(JSON.parse(alerts[0] as string)).toMatchObject({
        level: 'error',
        rule: 'few',
        host: 'few.example.com',
        login: 'deploy',
      })
    } finally {
      await service.close()
    }
  })
})
