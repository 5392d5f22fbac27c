import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { listLoginProviders } from '../../src/app/providers.ts'
import { createTestConfig, startTestApp, type TestApp } from '../app.ts'
import { useDirectories } from '../fakes/directory.ts'

const createDirectory = useDirectories()
const dir = createDirectory()
const secret = 'never-told-to-anybody'
writeFileSync(join(dir, 'github-secret'), secret, { mode: 0o600 })

let service: TestApp | undefined
afterAll(() => service?.close())

const issuer = 'https://idp.example.com'
const [plain] = createTestConfig(dir, issuer).identity.oidc
if (plain === undefined) throw new TypeError('the test configuration has an issuer')
const login = { clientId: 'postern', flows: ['browser', 'device'], scopes: ['openid'] } as const
const github = {
  clientId: 'Iv1.0123456789abcdef',
  clientSecretFile: join(dir, 'github-secret'),
  apiUrl: 'https://api.github.com',
  type: 'oauth-app',
} as const

test('GET /v1/identity-providers tells anybody where to log in, and nothing secret', async () => {
  service = await startTestApp({
    config: { identity: { oidc: [{ ...plain, login }], github: [github] } },
  })
  const response = await service.request('/v1/identity-providers')
  expect(response.status).toBe(200)
  const text = await response.text()
  expect(JSON.parse(text)).toEqual({
    providers: [
      {
        kind: 'oidc',
        issuer,
        flows: ['browser', 'device'],
        clientId: 'postern',
        scopes: ['openid'],
      },
      {
        kind: 'github',
        issuer: 'https://github.com',
        flows: ['device'],
        clientId: 'Iv1.0123456789abcdef',
        type: 'oauth-app',
        scopes: ['read:org'],
      },
    ],
  })
  for (const hidden of [secret, 'github-secret']) expect(text).not.toContain(hidden)
})

test('an issuer without a login is named without a client, and has no flow', () => {
  const config = createTestConfig(dir, issuer)
  expect(listLoginProviders(config)).toEqual([{ kind: 'oidc', issuer, flows: [] }])
})
