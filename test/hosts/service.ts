import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { startTestApp, type TestApp } from '../app.ts'
import { ownLogin } from '../ssh/client.ts'

export interface Bought {
  /** The path of the file it is in. */
  readonly certificate: string
  readonly serial: string
}

/** The whole service on a port of its own, as hosts and their admin see it. */
export interface HostService {
  readonly app: TestApp
  readonly url: string
  /** As maya, who is an admin. Throws for a refusal. */
  call(method: string, path: string, body?: unknown): Promise<unknown>
  /** What a host of this name enrols with, for the login of whoever runs the tests. */
  invite(name: string): Promise<{ readonly url: string; readonly token: string }>
  /** A certificate for a private key's file, beside it. */
  buy(key: string, host: string): Promise<Bought>
  close(): Promise<void>
}

/**
 * Its policy lets maya, and everyone in platform, in to `web-*.example.com`; `hosts` are lines of YAML
 * with which it lists some.
 */
export const startHostService = async (hosts = ''): Promise<HostService> => {
  const port = await findPort()
  const url = `http://127.0.0.1:${port}`
  const app = await startTestApp({
    policies: (issuer) => ({
      'a.yaml': `${hosts}roles:
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
rules:
  - name: shop
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: ["${ownLogin}"]
    ttl: 5m
`,
    }),
    config: { publicUrl: url, listen: { kind: 'tcp', host: '127.0.0.1', port } },
  })
  await app.app.listen()
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await app.token('maya')}`,
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  return Object.freeze({
    app,
    url,
    call,
    close: app.close,
    async invite(name: string) {
      const order = { name, logins: [ownLogin] }
      const { token } = (await call('POST', '/v1/hosts/invitations', order)) as { token: string }
      return { url, token }
    },
    async buy(key: string, host: string) {
      const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
      const ask = { publicKey, host, login: ownLogin }
      const issued = (await call('POST', '/v1/certificates', ask)) as Record<
        'certificate' | 'serial',
        string
      >
      const certificate = `${key}-${issued.serial}-cert.pub`
      writeFileSync(certificate, `${issued.certificate}\n`)
      return { certificate, serial: issued.serial }
    },
  })
}

const findPort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })
