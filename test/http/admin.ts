import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import type { TestApp } from '../app.ts'

/** A policy that lets `platform` deploy, and names maya admin and kim auditor. */
export const formatRolePolicy = (issuer: string) => ({
  'a.yaml': `roles:
  admin: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
  auditor: [{ oidc: { issuer: "${issuer}", subject: u-1003 } }]
rules:
  - name: platform-deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
`,
})

export interface LocalAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export const findSocket = ({ config }: TestApp) => join(config.dataDir, 'admin.sock')

/** One request through the admin socket of a listening service. */
export const sendLocal = (
  service: TestApp,
  method: string,
  path: string,
  more: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<LocalAnswer> =>
  new Promise((resolve, reject) => {
    const text = more.body === undefined ? '' : JSON.stringify(more.body)
    const headers = {
      host: 'localhost',
      ...(text === '' ? {} : { 'content-type': 'application/json' }),
      'content-length': Buffer.byteLength(text),
      ...more.headers,
    }
    const request = httpRequest(
      { socketPath: findSocket(service), method, path, headers, agent: false },
      async (response) => {
        let answer = ''
        for await (const part of response.setEncoding('utf8')) answer += part
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer) })
      },
    )
    request.once('error', reject)
    request.end(text)
  })
