import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readProblem, startTestApp, type TestApp } from '../app.ts'

let service: TestApp
beforeAll(async () => {
  service = await startTestApp()
})
afterAll(() => service.close())

const whoami = (authorization?: string) =>
  service.request('/v1/whoami', { headers: authorization === undefined ? {} : { authorization } })

const required = {
  status: 401,
  code: 'authentication_required',
  detail:
    'Send one header "Authorization: Bearer <token>" with a token of a configured identity provider.',
}
const refused = {
  status: 401,
  code: 'invalid_token',
  detail:
    'The token is not accepted: send a current token of a configured identity provider, made for this service.',
}

describe('no token', () => {
  test.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['the scheme alone', 'Bearer'],
    ['another scheme', 'Basic bWF5YTpzZWNyZXQ='],
    ['a token alone', 'eyJhbGciOiJFUzI1NiJ9.e30.AA'],
    ['two tokens', 'Bearer a b'],
    ['two headers', 'Bearer a, Bearer b'],
    ['a quoted token', 'Bearer "a"'],
    ['a token beyond ASCII', 'Bearer \u00e9'],
    ['a scheme that only begins so', 'BearerX a'],
  ])('%s is 401 with a bare challenge, and no entry', async (_what, header) => {
    const before = (await service.rows()).length
    const response = await whoami(header)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(await readProblem(response)).toEqual(required)
    expect(await service.rows()).toHaveLength(before)
  })
})

describe('a token', () => {
  test.each(['Bearer', 'bearer', 'BEARER'])('is taken with the scheme %s', async (scheme) => {
    expect((await whoami(`${scheme} ${await service.token()}`)).status).toBe(200)
  })

  // ATTACKS 128: whatever was wrong, the answer is the same; the log knows which.
  test.each([
    ['of nobody we know', async () => 'gho_0123456789abcdef0123'],
    ['of another issuer', () => service.issuer.mint({ iss: 'https://evil.example' })],
    ['made for another service', () => service.issuer.mint({ aud: 'another' })],
    ['that has expired', () => service.issuer.mint({}, { expiresIn: -120 })],
    ['that has been tampered with', async () => `${(await service.token()).slice(0, -4)}AAAA`],
    ['of no form at all', async () => 'x'],
    ['of 15 KiB', async () => 'x'.repeat(15_000)],
  ])('%s is refused like any other, and is one entry', async (_what, mint) => {
    const before = (await service.rows()).length
    const shown = await mint()
    const response = await whoami(`Bearer ${shown}`)
    expect(response.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
    expect(await readProblem(response)).toEqual(refused)
    const rows = await service.rows()
    expect(rows).toHaveLength(before + 1)
    expect(rows.at(-1)?.entry).toEqual({
      type: 'deny',
      time: expect.any(String),
      request: { id: response.headers.get('x-request-id'), address: '198.51.100.7' },
      code: 'invalid_token',
      reason: refused.detail,
      detail: expect.stringMatching(/./),
    })
    expect(JSON.stringify(rows.at(-1))).not.toContain(shown)
  })

  test('is refused alike on every route', async () => {
    const headers = { authorization: 'Bearer x' }
    const answers = await Promise.all([
      service.request('/v1/whoami', { headers }),
      service.request('/v1/certificates', { method: 'POST', headers }),
    ])
    for (const answer of answers) expect(await readProblem(answer)).toEqual(refused)
  })

  test('whose issuer does not answer is 503, and an entry of type error', async () => {
    const other = await startTestApp()
    other.issuer.switches.discovery = 'error'
    other.issuer.switches.keys = 'error'
    try {
      const authorization = `Bearer ${await other.token()}`
      const response = await other.request('/v1/whoami', { headers: { authorization } })
      expect(await readProblem(response)).toMatchObject({ status: 503, code: 'idp_unavailable' })
      expect(response.headers.has('www-authenticate')).toBe(false)
      const { entry } = (await other.rows()).at(-1) ?? {}
      expect(entry).toMatchObject({ type: 'error', code: 'idp_unavailable' })
    } finally {
      await other.close()
    }
  })
})
