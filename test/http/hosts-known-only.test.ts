import { afterAll, beforeAll, expect, test } from 'vitest'
import { readProblem, startTestApp, type TestApp } from '../app.ts'

let service: TestApp
beforeAll(async () => {
  service = await startTestApp({
    config: { knownHostsOnly: true },
    policies: (issuer) => ({
      'a.yaml': `hosts: [{ name: web-1.example.com, aliases: [web-1] }]
rules:
  - name: platform-deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 5m
`,
    }),
  })
})
afterAll(() => service.close())

test('with knownHostsOnly a certificate is for a host on the list, by its name or an alias', async () => {
  expect((await service.ask('maya')).status).toBe(201)
  expect((await service.ask('maya', { host: 'web-1' })).status).toBe(201)
})

test('for any other host it is refused, and that is an entry', async () => {
  expect(await readProblem(await service.ask('maya', { host: 'web-2.example.com' }))).toEqual({
    status: 403,
    code: 'host_unknown',
    detail:
      'No host web-2.example.com is on the list of this service: ask an administrator to invite it, or to list it in the policy.',
  })
  expect((await service.rows()).at(-1)?.entry).toMatchObject({
    type: 'deny',
    code: 'host_unknown',
    ask: { host: 'web-2.example.com' },
  })
})
