import { afterAll, describe, expect, test } from 'vitest'
import { createMemorySigner } from '../../src/ca/signers/memory.ts'
import { createClient } from '../../src/client/index.ts'
import type { Fetch } from '../../src/lib/fetch.ts'
import { createPublicKeyLine } from '../app.ts'
import { flag, forgeCertificate, value } from '../ssh/forge.ts'

const signer = createMemorySigner()
const other = createMemorySigner()
afterAll(() => Promise.all([signer.close(), other.close()]))

const now = Date.UTC(2026, 10, 22, 10) / 1000
const ask = { host: 'web-1.example.com', login: 'deploy', ttl: '5m', token: 'a-token' }
type Forged = Parameters<typeof forgeCertificate>[0]

/** A service that answers every ask with a certificate, its truth changed in one thing. */
const lie = (
  change: Partial<Forged>,
  said: Readonly<Record<string, unknown>> = {},
  tamper: (line: string) => string = (line) => line,
): Fetch => {
  return async (_url, init) => {
    const { publicKey } = JSON.parse(String(init?.body)) as { readonly publicKey: string }
    const given = {
      signer,
      publicKey,
      principals: ['deploy@web-1.example.com'],
      serial: 7n,
      keyId: 'oidc:maya/deploy/req_1',
      validAfter: now - 60,
      validBefore: now + 300,
      extensions: [['permit-pty', flag]] as const,
      ...change,
    }
    const format = (seconds: number) => new Date(seconds * 1000).toISOString()
    return Response.json(
      {
        certificate: tamper(await forgeCertificate(given)),
        serial: String(given.serial),
        keyId: given.keyId,
        principals: given.principals,
        validAfter: format(given.validAfter),
        validBefore: format(given.validBefore),
        rule: 'deploy',
        criticalOptions: Object.fromEntries(
          (given.criticalOptions ?? []).map(([name, data]) => [
            name,
            Buffer.from(data.subarray(4)).toString(),
          ]),
        ),
        extensions: { 'permit-pty': '' },
        host: { name: 'web-1.example.com' },
        ...said,
      },
      { status: 201 },
    )
  }
}

const issue = (
  fetch: Fetch,
  changes: Partial<Parameters<ReturnType<typeof createClient>['issue']>[0]> = {},
) =>
  createClient({
    url: 'https://postern.example.com',
    fetch,
    clock: () => new Date(now * 1000),
  }).issue({
    ...ask,
    ...changes,
  })

/** Another bit in the last byte of the signature, which is the last of the line. */
const flip = (line: string) => {
  const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64')
  blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1
  return `${line.split(' ')[0]} ${blob.toString('base64')}`
}

describe('a service that lies', () => {
  test('is believed where it tells the truth', async () => {
    const { certificate, serial, principals, key } = await issue(lie({}))
    expect(certificate).toMatch(/^ssh-ed25519-cert-v01@openssh\.com /)
    expect({ serial, principals }).toEqual({
      serial: '7',
      principals: ['deploy@web-1.example.com'],
    })
    key.wipe()
  })

  test.each([
    ['it is for another key', lie({ publicKey: createPublicKeyLine() })],
    ['it names other principals', lie({ principals: ['root@web-1.example.com'] })],
    ['it names other principals', lie({ principals: ['deploy@web-1.example.com', 'root'] })],
    ['it names other principals', lie({ principals: ['deploy'] })],
    ['it names no principals', lie({ principals: [] })],
    ['it is for the host web-2.example.com', lie({}, { host: { name: 'web-2.example.com' } })],
    ['it is for the host of no name', lie({}, { host: { name: '\u001b[31mweb' } })],
    ['the answer names no host', lie({}, { host: {} })],
    ['it lives longer', lie({ validBefore: now + 361 })],
    ['it has ended already; compare the clocks', lie({ validBefore: now })],
    ['it is not valid yet; compare the clocks', lie({ validAfter: now + 61 })],
    ['it is a host’s', lie({ kind: 'host' })],
    ['it is not signed by the CA it names', lie({}, {}, flip)],
    [
      'it is not signed by the CA it names',
      lie({ signer: { publicKey: signer.publicKey, sign: (data) => other.sign(data) } }),
    ],
    ['it cannot be read', lie({}, { certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA' })],
    ['it cannot be read', lie({}, { certificate: createPublicKeyLine() })],
    [
      'it runs one command, and none was asked for',
      lie({ criticalOptions: [['force-command', value('id')]] }),
    ],
    [
      'it has an unknown restriction',
      lie({ criticalOptions: [['shine@example.com', value('on')]] }),
    ],
    ['the answer names another serial', lie({}, { serial: '8' })],
    ['the answer names another key id', lie({}, { keyId: 'x' })],
    ['the answer names other principals', lie({}, { principals: ['deploy'] })],
    ['the answer names another end', lie({}, { validBefore: '2026-11-22T10:06:00Z' })],
    ['the answer names another beginning', lie({}, { validAfter: 'soon' })],
    [
      'the answer names other critical options',
      lie({}, { criticalOptions: { 'source-address': '::1/128' } }),
    ],
    ['the answer names other extensions', lie({}, { extensions: {} })],
    [
      'the answer’s address is neither a host name nor an IP address',
      lie({}, { host: { name: ask.host, address: '-oProxyCommand=id' } }),
    ],
    ['the answer’s port is none', lie({}, { host: { name: ask.host, port: 0 } })],
  ])('is refused: %s', async (what, fetch) => {
    await expect(issue(fetch)).rejects.toMatchObject({
      code: 'certificate_mismatch',
      message: `The certificate does not say what was asked: ${what}.`,
      hint: what.startsWith('it is for the host')
        ? 'if that is the host you mean, ask for it by this name; nothing was sent to it'
        : 'nothing was sent to the host; check that `url` is the service you mean, and tell its admin',
    })
  })

  test('may not leave a command out that was asked for', async () => {
    await expect(issue(lie({}), { command: 'setup' })).rejects.toMatchObject({
      message: 'The certificate does not say what was asked: it is not bound to the command.',
    })
    const bound = lie({ criticalOptions: [['force-command', value('id')]] })
    await expect(issue(bound, { command: 'setup' })).resolves.toMatchObject({ serial: '7' })
  })

  const key = createPublicKeyLine()
  const canonical = 'web-1.example.com'
  const alias = (line: string, principals = ['deploy@web-1.example.com']) =>
    lie({ principals }, { host: { name: canonical, knownHosts: [line] } })

  test.each([
    ['in one line', `${canonical},web-1,10.2.0.17 ${key}`],
    ['in one line, at a port', `[${canonical}]:2222,[web-1]:2222 ${key}`],
  ])(
    'may answer the name of an alias, where the host’s keys stand for both %s',
    async (_, line) => {
      const { host, principals } = await issue(alias(line), { host: 'web-1' })
      expect({ name: host.name, principals }).toEqual({
        name: canonical,
        principals: ['deploy@web-1.example.com'],
      })
    },
  )

  test.each([
    ['no key stands for the alias', `${canonical} ${key}`, 'it is for the host web-1.example.com'],
    [
      'each has a key of its own',
      `${canonical} ${key}\nweb-1 ${key}`,
      'it is for the host web-1.example.com',
    ],
    ['the line is a pattern', `web-1* ${key}`, 'it is for the host web-1.example.com'],
    [
      'the key is revoked',
      `@revoked ${canonical},web-1 ${key}`,
      'it is for the host web-1.example.com',
    ],
  ])('may not answer another name where %s', async (_, line, what) => {
    await expect(issue(alias(line), { host: 'web-1' })).rejects.toMatchObject({
      code: 'certificate_mismatch',
      message: `The certificate does not say what was asked: ${what}.`,
    })
  })

  test('may not bind what is for an alias to the alias alone', async () => {
    const fetch = alias(`${canonical},web-1 ${key}`, ['deploy@web-1'])
    await expect(issue(fetch, { host: 'web-1' })).rejects.toMatchObject({
      message: 'The certificate does not say what was asked: it names other principals.',
    })
  })

  test.each([
    [['deploy@web-1.example.com'], true],
    [['app:deploy@web-1.example.com', 'deploy@web-1.example.com'], true],
    [['web-admins'], true],
    [['deploy:web-1.example.com'], true],
    [['root'], false],
    [['web-admins', 'deploy@web-2.example.com'], false],
    [['root@web-1.example.com'], false],
    [['xdeploy@web-1.example.com'], false],
    [['deploy@web-1.example.com.evil.example'], false],
  ])('may name %j where the rule’s own are taken: %j', async (principals, isTaken) => {
    const issuing = issue(lie({ principals }), { principals: 'rule' })
    if (isTaken) await expect(issuing).resolves.toMatchObject({ principals })
    else {
      await expect(issuing).rejects.toMatchObject({
        code: 'certificate_mismatch',
        message: 'The certificate does not say what was asked: it names other principals.',
      })
    }
  })

  test('may name root alone where root was asked for', async () => {
    const fleet = lie({ principals: ['root'] })
    await expect(issue(fleet, { login: 'root', principals: 'rule' })).resolves.toBeDefined()
  })

  test('may name other principals where those are expected', async () => {
    const fleet = lie({ principals: ['deploy'] })
    await expect(issue(fleet, { principals: ['deploy'] })).resolves.toMatchObject({ serial: '7' })
    await expect(issue(fleet, { principals: [] })).rejects.toMatchObject({
      code: 'certificate_mismatch',
    })
  })
})
