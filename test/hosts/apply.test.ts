import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { startTrustService } from '../fakes/trust.ts'
import { faults } from '../fakes/trust-faults.ts'
import { ownLogin } from '../ssh/client.ts'
import { startHost } from './host.ts'

const dir = mkdtempSync(join(tmpdir(), 'postern-apply-'))
const service = await startTrustService({ dir })
service.tell({ logins: [ownLogin, 'standby'], revoked: [3n] })
const host = await startHost({ name: 'web-1.example.com', dir, service })
afterAll(async () => {
  await host.sshd.stop()
  await service.close()
  rmSync(dir, { recursive: true })
})

const enrolled = await host.enrol()
expect(enrolled.stderr).toBe('')

/** Everything sshd reads of ours, by name. */
const readInstalled = () =>
  Object.fromEntries(
    readdirSync(host.path('.'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /^(principals\/|user_ca|revoked|bundle|version)/.test(name))
      .map((name) => [name, readFileSync(host.path(name)).toString('base64')]),
  )
const apply = (env: Readonly<Record<string, string>> = {}) => host.run(['apply'], { env })
const refused = (why: string) =>
  `postern-host: the service's trust bundle is refused: ${why}; the last good one stays\n`

/** To the script many are alike: of those a few stand for all, and `npm run soak -- --only hosts` draws from all. */
const alike =
  /cut (before its (first byte|KRL|last line)|after its|in (its first line|its version|a principal|its signature))|with the connection|and the connection|principal (with (options|a quote|a carriage)|of other)|login (of a domain|of 33|in capitals)|status 503|a 204|KRL (of comments|of 43 bytes)/
const shown = Object.keys(faults).filter((name) => !alike.test(name))

describe('what the service says', () => {
  test('is in force a moment later, and reported once', async () => {
    service.tell({ revoked: [3n, 5n], logins: [ownLogin, 'deploy'] })
    const { version } = service.told()
    expect(await apply()).toEqual({
      code: 0,
      stdout: `postern-host: version ${version} is in force\n`,
      stderr: '',
    })
    expect(host.read(`principals/${ownLogin}`)).toBe(`${ownLogin}@web-1.example.com\n`)
    expect(host.read('principals/deploy')).toBe('deploy@web-1.example.com\n')
    expect(existsSync(host.path('principals/standby'))).toBe(false)
    expect(host.read('version')).toBe(`${version}\n`)
    expect(service.reports.at(-1)).toBe(`web-1.example.com ${version}`)

    const count = service.reports.length
    expect(await apply()).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(service.requests.at(-1)).toBe('GET /v1/hosts/web-1.example.com/trust 304')
    expect(service.reports).toHaveLength(count)
  })

  test('is reported again when the last report is five minutes old', async () => {
    const count = service.reports.length
    const then = Date.now() / 1000 - 400
    utimesSync(host.path('reported'), then, then)
    expect((await apply()).code).toBe(0)
    expect(service.reports).toHaveLength(count + 1)
  })

  test('may be that no CA is trusted any more', async () => {
    const { caKeys } = service.told()
    service.tell({ caKeys: [] })
    expect((await apply()).code).toBe(0)
    expect(host.read('user_ca.pub')).toBe('')
    service.tell({ caKeys })
    expect((await apply()).code).toBe(0)
    expect(host.read('user_ca.pub')).toBe(`${caKeys[0]}\n`)
  })

  // ATTACKS 208, 209, 210, 211, 225, 228, 231, 235
  test.each(shown)('is refused where it is %s', async (name) => {
    const before = readInstalled()
    service.tell({ revoked: [3n, 5n, 7n] })
    service.misbehave(name)
    const { code, stdout, stderr } = await apply()
    service.misbehave()
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^postern-host: .*(is refused: .*; the last good one stays|gives no trust bundle .*)\n$/,
    )
    expect(host.readSyslog()).toContain(stderr.trim().slice('postern-host: '.length))
    expect(readInstalled()).toEqual(before)
  })

  test('is understood again after all that', async () => {
    expect((await apply()).code).toBe(0)
    expect(host.read('version')).toBe(`${service.told().version}\n`)
  })
})

describe('the reason of a refusal', () => {
  test.each([
    ['an error page that says 200', 'it is no trust bundle, or only the start of one'],
    ['a bundle of another key', 'the pinned trust key did not sign it'],
    ['a bundle signed for another purpose', 'the pinned trust key did not sign it'],
    ['a signed bundle with another host', 'it is for another host'],
    ['a signed bundle with a CA key that is none', 'a CA key in it cannot be read'],
    ['a signed bundle with a KRL of 43 bytes', 'its KRL is damaged'],
    [
      'a signed bundle with a login that climbs',
      'it is signed, but holds something no bundle may hold',
    ],
  ])('of %s is said', async (name, why) => {
    service.misbehave(name)
    expect((await apply()).stderr).toBe(refused(why))
    service.misbehave()
  })

  test('of an older bundle names both versions [ATTACKS 211]', async () => {
    const { version } = service.told()
    service.misbehave('an older bundle')
    expect((await apply()).stderr).toBe(
      refused(`it is older (version 7) than what was taken before (${version})`),
    )
    // Nor where the kept bundle is lost, or cannot be read any more.
    rmSync(host.path('bundle'))
    expect((await apply()).stderr).toBe(
      refused(`it is older (version 7) than what was taken before (${version})`),
    )
    service.misbehave()
    expect((await apply()).code).toBe(0)
    expect(host.read('version')).toBe(`${version}\n`)
  })
})

describe('what happens to the files', () => {
  test.each<[string, () => void]>([
    ['the KRL is gone', () => rmSync(host.path('revoked.krl'))],
    ['the KRL is empty', () => writeFileSync(host.path('revoked.krl'), '')],
    [
      'the KRL is cut',
      () => writeFileSync(host.path('revoked.krl'), host.read('revoked.krl').slice(0, 50)),
    ],
    [
      'the KRL is a directory',
      () => {
        rmSync(host.path('revoked.krl'))
        mkdirSync(host.path('revoked.krl'))
      },
    ],
    [
      'the KRL is a link to elsewhere',
      () => {
        rmSync(host.path('revoked.krl'))
        symlinkSync(join(dir, 'elsewhere'), host.path('revoked.krl'))
      },
    ],
    [
      'the KRL is a link to a directory',
      () => {
        rmSync(host.path('revoked.krl'))
        symlinkSync(mkdtempSync(join(dir, 'folder-')), host.path('revoked.krl'))
      },
    ],
    [
      'a CA key was added',
      () => writeFileSync(host.path('user_ca.pub'), 'ssh-ed25519 AAAA evil\n'),
    ],
    [
      'a principal was added',
      () => writeFileSync(host.path(`principals/${ownLogin}`), 'everybody\n'),
    ],
    ['a login was added', () => writeFileSync(host.path('principals/nobody'), 'everybody\n')],
    ['the principals are gone', () => rmSync(host.path('principals'), { recursive: true })],
    ['the version is nonsense', () => writeFileSync(host.path('version'), 'new\n')],
  ])(
    '%s: mended from the kept bundle, with the service down [ATTACKS 207, 226]',
    async (_what, damage) => {
      const before = readInstalled()
      damage()
      service.misbehave('status 503')
      expect((await apply()).code).toBe(1)
      service.misbehave()
      expect(readInstalled()).toEqual(before)
      expect(existsSync(join(dir, 'elsewhere'))).toBe(false)
    },
  )

  test('a damaged bundle is fetched anew', async () => {
    const before = readInstalled()
    writeFileSync(host.path('bundle'), host.read('bundle').replace('ca ssh', 'ca sSh'))
    const { code, stderr } = await apply()
    expect(code).toBe(0)
    expect(stderr).toBe(
      'postern-host: the kept bundle cannot be used: the pinned trust key did not sign it\n',
    )
    expect(readInstalled()).toEqual(before)
  })

  test.each([
    ['util-linux', '/usr/bin/flock "$@"'],
    ['BusyBox', '[ "$1" != -w ] || exit 1\nexec /usr/bin/flock "$@"'],
  ])(
    'a run at the same time waits for the first, and none is left half done: flock of %s',
    async (_whose, flock) => {
      const bin = mkdtempSync(join(dir, 'flock-'))
      writeFileSync(join(bin, 'flock'), `#!/bin/sh\n${flock}\n`, { mode: 0o755 })
      const env = { PATH: `${bin}:${host.env['PATH']}` }
      service.tell({ revoked: [3n, 9n] })
      const ends = await Promise.all([apply(env), apply(env), apply(env)])
      expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
      expect(ends.filter(({ stdout }) => stdout !== '')).toHaveLength(1)
    },
  )
})

test('a KRL that names the trust key is taken as any other', async () => {
  const trustKey = host.read('trust.pub').split(' ').slice(2).join(' ').trim()
  service.tell({ revokedKeys: [trustKey] })
  expect(await apply()).toEqual({
    code: 0,
    stdout: `postern-host: version ${service.told().version} is in force\n`,
    stderr: '',
  })
  service.tell({ revokedKeys: [] })
  expect((await apply()).code).toBe(0)
})

// ATTACKS 223
test('a host that hears nothing for too long says so, louder', async () => {
  service.misbehave('status 503')
  writeFileSync(host.path('checked'), `${Math.floor(Date.now() / 1000) - 7200}\n`)
  const { stderr } = await apply()
  service.misbehave()
  expect(stderr).toContain(
    'postern-host: STALE: the last good answer is 120 min old; what was revoked since then still works here\n',
  )
  expect((await apply()).code).toBe(0)
  expect(Number(host.read('checked'))).toBeGreaterThan(Date.now() / 1000 - 60)
})

test('where curl is missing, wget does the same', async () => {
  const bin = join(host.root, 'no-curl')
  mkdirSync(bin)
  for (const name of readdirSync('/usr/bin').filter((file) => file !== 'curl')) {
    symlinkSync(join('/usr/bin', name), join(bin, name))
  }
  const env = { PATH: `${host.root}/bin:${bin}` }
  service.tell({ revoked: [3n, 11n] })
  expect(await apply(env)).toEqual({
    code: 0,
    stdout: `postern-host: version ${service.told().version} is in force\n`,
    stderr: '',
  })
  expect(await apply(env)).toEqual({ code: 0, stdout: '', stderr: '' })
  for (const name of ['an error page', 'a bundle cut in its KRL, and the connection with it']) {
    service.tell({})
    service.misbehave(name)
    expect((await apply(env)).code).toBe(1)
    service.misbehave()
  }
  expect((await apply(env)).code).toBe(0)
  expect(service.reports.at(-1)).toBe(`web-1.example.com ${service.told().version}`)
})

test('what it does not know it explains, and one that never enrolled is told how', async () => {
  expect(await host.run(['exec', 'sh'])).toMatchObject({ code: 2, stdout: '' })
  const { code, stderr } = await host.run(['apply'], { env: { POSTERN_ROOT: join(dir, 'none') } })
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      "postern-host: this host is not enrolled: run the enrolment script with a token of 'postern host invite'\n",
  })
})
