import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** OIDC issuers on one port, each with a URL of its own; tokens come from one after the other. */
export interface Issuers {
  readonly urls: readonly string[]
  /** Tokens that were never used before, good for half an hour. */
  mintTokens(count: number): string[]
  close(): void
}

/** What every issuer's tokens are for. */
export const audience = 'postern-bench'

export const startIssuers = async (count: number, port = 0): Promise<Issuers> => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' }
  const server = createServer((incoming, response) => {
    const issuer = `${base}${incoming.url?.replace(/\/(jwks|\.well-known\/.*)$/, '')}`
    const isKeys = incoming.url?.endsWith('/jwks') === true
    const body = isKeys ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/jwks` }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const urls = Array.from({ length: count }, (_, n) => `${base}/i${n}`)
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = encode({ alg: 'ES256', kid: 'bench', typ: 'JWT' })
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  let minted = 0
  const mintToken = (now: number): string => {
    const who = { iss: urls[minted++ % count], aud: audience, sub: 'u-1', name: 'maya' }
    const claims = { ...who, jti: randomUUID(), groups: ['platform'], iat: now, exp: now + 1800 }
    const text = `${header}.${encode(claims)}`
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }
  return {
    urls,
    mintTokens(wanted) {
      const now = Math.floor(Date.now() / 1000)
      return Array.from({ length: wanted }, () => mintToken(now))
    },
    close: () => server.close(),
  }
}
