import { describe, expect, test } from 'vitest'
import { createClient, type IssueOptions } from '../../src/client/index.ts'
import type { Fetch } from '../../src/lib/fetch.ts'

const url = 'https://postern.example.com'
const ask: IssueOptions = { token: 'secret-token', host: 'web-1.example.com', login: 'deploy' }

/** Answers each request by the next function in turn, the last for ever. */
const answer = (...answers: readonly (() => Response | Promise<Response>)[]) => {
  const asked: RequestInit[] = []
  const fetch: Fetch = async (_url, init = {}) => {
    asked.push(init)
    return (answers[Math.min(asked.length, answers.length) - 1] as () => Response)()
  }
  return { fetch, asked }
}
const problem =
  (status: number, code: string, headers: Record<string, string> = {}) =>
  () =>
    Response.json({ code, detail: 'It says why.', requestId: 'req_1' }, { status, headers })
const refuse = (code: string) => () => {
  throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) })
}

describe('what is wrong is said before anything is sent', () => {
  const hosts = [
    '-oProxyCommand=id',
    'web-1\n',
    'web\0',
    'ｗeb-1.example.com',
    'web‐1',
    'WEB-1',
    'web-1.',
    '',
    '10.1.2.3',
    '[::1]',
    'a b',
    'web-1.example.com:22',
    'root@web-1',
  ]
  test.each(hosts)('the host %j, ATTACKS 318, 319', async (host) => {
    const { fetch, asked } = answer(problem(500, 'internal'))
    for (const act of ['connect', 'issue'] as const) {
      await expect(createClient({ url, fetch })[act]({ ...ask, host })).rejects.toMatchObject({
        code: 'invalid_host',
        message:
          'The host is not a host name: write it in lower case, with letters, digits, hyphens and dots, without a trailing dot, and not as an IP address.',
        hint: 'where it is reached by another name or by an IP address, pass that as `address`',
      })
    }
    expect(asked).toEqual([])
  })

  test.each([
    [{ login: 'a;id' }, 'invalid_login'],
    [{ login: '-l' }, 'invalid_login'],
    [{ ttl: '1e9' }, 'invalid_ttl'],
    [{ command: '/bin/sh' }, 'invalid_request'],
    [{ reason: 'a\nb' }, 'invalid_request'],
    [{ reason: '\ud800' }, 'invalid_request'],
    [{ timeout: 0 }, 'invalid_request'],
    [{ address: '-oX' }, 'invalid_request'],
    [{ address: 'a\nb' }, 'invalid_request'],
    [{ port: 65_536 }, 'invalid_request'],
    [{ token: '' }, 'authentication_required'],
    [{ token: 'a\r\nb: c' }, 'authentication_required'],
    [{ token: async () => 'ü' }, 'authentication_required'],
    [{ signal: AbortSignal.abort('no') }, 'aborted'],
  ])('%j', async (changes, code) => {
    const { fetch, asked } = answer(problem(500, 'internal'))
    const connecting = createClient({ url, fetch }).connect({ ...ask, ...changes })
    await expect(connecting).rejects.toMatchObject({ code })
    expect(asked).toEqual([])
  })

  test.each([
    'http://postern.example.com',
    'https://postern.example.com/v1',
    'ftp://x',
    'postern',
    'https://u:p@postern.example.com',
  ])('the url %s', (wrong) => {
    expect(() => createClient({ url: wrong })).toThrow('The url is not the origin of a service.')
  })
})

describe('what the service says', () => {
  test.each([
    [403, 'policy_denied', 'an admin sees why with: postern policy explain'],
    [
      401,
      'invalid_token',
      'pass a current token made for this service, or a function that answers one',
    ],
    [403, 'command_required', 'pass `command`: the name of one of the commands of the rule'],
  ])('%i %s keeps its code and its sentence, and brings a hint', async (status, code, hint) => {
    const { fetch, asked } = answer(problem(status, code))
    await expect(createClient({ url, fetch }).issue(ask)).rejects.toMatchObject({
      code,
      message: 'It says why.',
      hint,
      detail: `request req_1, ${code}`,
    })
    expect(asked).toHaveLength(1)
  })

  test('a code of a later version is told apart', async () => {
    const { fetch } = answer(problem(403, 'moon_is_full'))
    await expect(createClient({ url, fetch }).issue(ask)).rejects.toMatchObject({
      code: 'unknown_problem',
      message: 'It says why.',
      detail: 'request req_1, moon_is_full',
    })
  })

  test.each([
    ['a page', () => new Response('<!doctype html>', { status: 200 })],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: '/trap' } })],
    ['nothing', () => new Response('', { status: 201 })],
    ['another JSON', () => Response.json(['x'], { status: 201 })],
    ['a member twice', () => new Response('{"serial":"1","serial":"2"}', { status: 201 })],
    ['more than an answer', () => new Response('"'.padEnd(300_000, 'x'), { status: 201 })],
  ])('%s is no postern', async (_what, respond) => {
    const { fetch, asked } = answer(respond)
    await expect(createClient({ url, fetch }).issue(ask)).rejects.toMatchObject({
      code: 'not_running',
    })
    expect(asked.map(({ redirect }) => redirect)).toEqual(['manual'])
  })
})

describe('a request is sent again', () => {
  test('where the connection was refused, or the service says when, with a token and proof of its own each', async () => {
    const { fetch, asked } = answer(
      refuse('ECONNREFUSED'),
      problem(503, 'overloaded', { 'retry-after': '0' }),
      problem(429, 'rate_limited', { 'retry-after': '0' }),
      problem(403, 'policy_denied'),
    )
    let tokens = 0
    const token = () => `token-${++tokens}`
    await expect(createClient({ url, fetch }).issue({ ...ask, token })).rejects.toMatchObject({
      code: 'policy_denied',
    })
    const sent = asked.map(({ headers, body }) => ({
      token: new Headers(headers).get('authorization'),
      proof: JSON.parse(String(body)).proof.signature as string,
    }))
    expect(sent.map((each) => each.token)).toEqual([1, 2, 3, 4].map((n) => `Bearer token-${n}`))
    expect(new Set(sent.map(({ proof }) => proof)).size).toBe(4)
  })

  test.each([
    ['the connection was reset: it may have issued', refuse('ECONNRESET'), 1, 'not_running'],
    ['503 says no time', problem(503, 'audit_unavailable'), 1, 'audit_unavailable'],
    [
      'it says to come much later',
      problem(503, 'overloaded', { 'retry-after': '3600' }),
      1,
      'overloaded',
    ],
    ['it was denied', problem(403, 'policy_denied', { 'retry-after': '0' }), 1, 'policy_denied'],
    ['nobody ever answers', refuse('ECONNREFUSED'), 4, 'not_running'],
  ])('but not for ever, nor where %s', async (_why, respond, times, code) => {
    const { fetch, asked } = answer(respond)
    await expect(createClient({ url, fetch }).issue(ask)).rejects.toMatchObject({ code })
    expect(asked).toHaveLength(times)
  })

  test('nor after its time', async () => {
    const { fetch } = answer(problem(503, 'overloaded', { 'retry-after': '5' }))
    await expect(createClient({ url, fetch }).issue({ ...ask, timeout: 50 })).rejects.toMatchObject(
      {
        code: 'timeout',
        message: 'Connecting took longer than 50 ms.',
      },
    )
  })

  test('and no error ever holds the token', async () => {
    for (const respond of [refuse('ECONNRESET'), problem(401, 'invalid_token')]) {
      const { fetch } = answer(respond)
      const error: unknown = await createClient({ url, fetch })
        .issue(ask)
        .catch((thrown) => thrown)
      const { inspect } = await import('node:util')
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('secret-token')
    }
  })
})
