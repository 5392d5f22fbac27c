import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../app.ts'

let service: TestApp
beforeAll(async () => {
  service = await startTestApp({
    policies: (issuer) => ({
      'a.yaml': `rules:
  - name: emergency
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["db-*.example.com"]
    logins: [root]
    require: { reason: { minLength: 10 }, callerAddresses: [10.9.0.0/16] }
    ttl: 5m
  - name: deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com", shop.example.com]
    logins: [deploy]
    when: { days: [mon, tue, wed, thu, fri], zone: Europe/Berlin }
    ttl: 5m
  - name: another-person
    who: [{ oidc: { issuer: "${issuer}", subject: u-77 } }]
    hosts: [secret.example.com]
    logins: [deploy]
    ttl: 5m
  - name: not-there
    deny: that host is nobody's
    who: [everyone]
    hosts: [vault.example.com]
    logins: ["*"]
`,
    }),
  })
})
afterAll(() => service.close())

const read = async (user: string) => {
  const authorization = `Bearer ${await service.token(user)}`
  const response = await service.request('/v1/whoami/rules', { headers: { authorization } })
  return { status: response.status, text: await response.text() }
}

describe('GET /v1/whoami/rules', () => {
  test('tells a caller of the rules that name them, and of no other person, host or network (ATTACKS 162)', async () => {
    const { status, text } = await read('maya')
    expect(status).toBe(200)
    expect(JSON.parse(text)).toEqual({
      rules: [
        {
          rule: 'emergency',
          hosts: ['db-*.example.com'],
          logins: ['root'],
          needs: ['a request from certain addresses', 'a reason with at least 10 characters'],
        },
        {
          rule: 'deploy',
          hosts: ['web-*.example.com', 'shop.example.com'],
          logins: ['deploy'],
          when: 'on mon, tue, wed, thu, fri (Europe/Berlin)',
          needs: [],
        },
      ],
    })
    expect(text).not.toMatch(/secret|vault|10\.9|u-77/)
  })

  test('tells one whom no rule names of none', async () => {
    expect(JSON.parse((await read('sam')).text)).toEqual({ rules: [] })
  })

  test('is closed without a token', async () => {
    expect((await service.request('/v1/whoami/rules')).status).toBe(401)
  })
})
