import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readProblem, startTestApp, type TestApp } from '../app.ts'

const policy = `hosts:
  - name: web-1.example.com
    aliases: [web-1]
    logins: [deploy, root]
  - name: db-1.example.com
    logins: [postgres]
rules: []
`

let service: TestApp
let dir: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postern-trust-'))
  service = await startTestApp({ policies: () => ({ 'hosts.yaml': policy }) })
})
afterAll(async () => {
  await service.close()
  rmSync(dir, { recursive: true })
})

/** Verifies as a host does: with stock ssh-keygen, and the key it has pinned. */
const verify = (bundle: string, publicKey: string, namespace = 'postern-trust@v1'): string => {
  const at = bundle.indexOf('-----BEGIN SSH SIGNATURE-----')
  writeFileSync(join(dir, 'signers'), `postern ${publicKey}\n`)
  writeFileSync(join(dir, 'bundle.sig'), bundle.slice(at))
  const given = ['-f', join(dir, 'signers'), '-I', 'postern', '-n', namespace]
  return execFileSync('ssh-keygen', ['-Y', 'verify', ...given, '-s', join(dir, 'bundle.sig')], {
    input: bundle.slice(0, at),
    encoding: 'utf8',
    stdio: 'pipe',
  })
}

test('a host on the list has a bundle that stock ssh-keygen verifies, with its principals alone', async () => {
  const response = await service.request('/v1/hosts/web-1.example.com/trust')
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  const bundle = await response.text()
  const [first, host, version, ca, deploy, root, krl, end, armor] = bundle.split('\n')
  expect([first, host, end, armor]).toEqual([
    'postern-trust v1',
    'host web-1.example.com',
    'end',
    '-----BEGIN SSH SIGNATURE-----',
  ])
  expect(response.headers.get('etag')).toBe(`"${version?.replace('version ', '')}"`)
  const userCa = (await (await service.request('/v1/ca/user.pub')).text()).trim()
  expect(ca).toBe(`ca ${userCa}`)
  expect([deploy, root]).toEqual([
    'principal deploy deploy@web-1.example.com',
    'principal root root@web-1.example.com',
  ])
  const [, length, base64 = ''] = /^krl (\d+) (\S+)$/.exec(krl ?? '') ?? []
  const bytes = Buffer.from(base64, 'base64')
  expect(bytes.length).toBe(Number(length))
  expect(bytes.subarray(0, 8).toString('latin1')).toBe('SSHKRL\n\0')
  expect(verify(bundle, service.app.trustKey)).toContain('Good "postern-trust@v1" signature')
  expect(() => verify(bundle, service.app.trustKey, 'postern-script@v1')).toThrow()
  expect(() => verify(bundle.replace('root@web-1', 'root@web-2'), service.app.trustKey)).toThrow()
})

test.each([
  ['its ETag', (etag: string) => etag, 304],
  ['its ETag made weak by a proxy', (etag: string) => `W/${etag}`, 304],
  ['its ETag among others', (etag: string) => `"1", ${etag}`, 304],
  ['another ETag', () => '"0"', 200],
  ['no quotes around it', (etag: string) => etag.replaceAll('"', ''), 200],
])('with %s it is answered at once', async (_what, change, status) => {
  const path = '/v1/hosts/web-1.example.com/trust'
  const etag = (await service.request(path)).headers.get('etag') ?? ''
  const again = await service.request(path, { headers: { 'if-none-match': change(etag) } })
  expect(again.status).toBe(status)
  expect(again.headers.get('etag')).toBe(etag)
  if (status === 304) expect(await again.text()).toBe('')
})

test.each(['web-2.example.com', 'web-1', 'WEB-1.example.com', '..%2f', 'web-1.example.com.'])(
  'there is none for %s',
  async (name) => {
    expect(await readProblem(await service.request(`/v1/hosts/${name}/trust`))).toEqual({
      status: 404,
      code: 'not_found',
      detail: 'No host of this name is known: invite it, or list it in the policy.',
    })
  },
)
