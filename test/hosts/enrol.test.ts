import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readEnrolScript, startTrustService } from '../fakes/trust.ts'
import { ownLogin } from '../ssh/client.ts'
import { execute } from '../tools.ts'
import { type Host, startHost } from './host.ts'

const dir = mkdtempSync(join(tmpdir(), 'postern-enrol-'))
const service = await startTrustService({ dir })
service.tell({ logins: [ownLogin, 'standby'] })
const name = 'web-1.example.com'
const hosts: Host[] = []
afterAll(async () => {
  await Promise.all(hosts.map(({ sshd }) => sshd.stop()))
  await service.close()
  rmSync(dir, { recursive: true })
})

const start = async (given: Partial<Parameters<typeof startHost>[0]> = {}): Promise<Host> => {
  const host = await startHost({ name, dir: join(dir, `${hosts.length}`), service, ...given })
  hosts.push(host)
  return host
}
const dropIn = (host: Host) => join(host.root, 'etc/ssh/sshd_config.d/50-postern.conf')
const script = (host: Host) => join(host.root, 'usr/local/sbin/postern-host')
const listTree = (host: Host) =>
  readdirSync(host.root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !/syslog|systemctl$|known_hosts|\/log$/.test(path))
    .sort()
const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const certificate = await service.certify(key, 'own', 77, `${ownLogin}@${name}`)
const elsewhere = await service.certify(key, 'other', 78, `${ownLogin}@web-2.example.com`)

describe('a host that enrols', () => {
  test('takes certificates of its own, and every key as before; and it can be undone', async () => {
    const host = await start({ hasSystemd: true })
    const before = listTree(host)
    expect(await host.isOpenTo({ key, certificate })).toBe(false)
    expect(await host.enrol()).toEqual({
      code: 0,
      stdout: `postern-host: version ${service.told().version} is in force
postern: done: ${name} takes certificates for: ${[ownLogin, 'standby'].sort().join(' ')}. Next: at the desk 'postern host show ${name}';
postern: here 'postern-host doctor' says how things stand, and 'postern-host remove' undoes this.
`,
      stderr: '',
    })
    expect(await host.isOpenTo({ key, certificate })).toBe(true)
    expect(await host.isOpenTo({ key, certificate: elsewhere })).toBe(false)
    expect(await host.isOpenToAdmin()).toBe(true)
    expect(readFileSync(dropIn(host), 'utf8').split('\n').slice(1, 4)).toEqual([
      `TrustedUserCAKeys ${host.path('user_ca.pub')}`,
      `AuthorizedPrincipalsFile ${host.path('principals/%u')}`,
      `RevokedKeys ${host.path('revoked.krl')}`,
    ])
    const unit = join(host.root, 'etc/systemd/system/postern-host')
    expect(readFileSync(`${unit}.service`, 'utf8')).toContain(`ExecStart=${script(host)} apply\n`)
    // ATTACKS 239
    expect(readFileSync(`${unit}.service`, 'utf8')).toContain(
      `ProtectSystem=strict\nReadWritePaths=${host.path('')}`,
    )
    // ATTACKS 236
    expect(readFileSync(`${unit}.timer`, 'utf8')).toContain(
      'OnUnitActiveSec=45\nRandomizedDelaySec=15\n',
    )
    expect(readFileSync(join(host.root, 'systemctl'), 'utf8')).toContain(
      'systemctl -q enable --now postern-host.timer\n',
    )

    // Again, which is harmless.
    expect(await host.enrol()).toMatchObject({ code: 0, stderr: '' })
    expect(await host.isOpenTo({ key, certificate })).toBe(true)

    expect(await host.run(['remove'])).toEqual({
      code: 0,
      stdout:
        'postern-host: removed: this host takes no certificate of Postern any more, and every other key as before\n',
      stderr: '',
    })
    expect(listTree(host).filter((path) => existsSync(join(host.root, path)))).toEqual(
      [...before, 'etc/systemd', 'etc/systemd/system', 'usr', 'usr/local', 'usr/local/sbin'].sort(),
    )
    expect(await host.isOpenTo({ key, certificate })).toBe(false)
    expect(await host.isOpenToAdmin()).toBe(true)
  })

  test('does so with wget and cron, and with no name but the one in the answer', async () => {
    const host = await start()
    const bin = join(host.root, 'no-curl')
    mkdirSync(bin)
    for (const file of readdirSync('/usr/bin').filter((entry) => entry !== 'curl')) {
      symlinkSync(join('/usr/bin', file), join(bin, file))
    }
    const { code, stderr } = await execute('sh', ['-s'], {
      env: { ...host.env, PATH: `${host.root}/bin:${bin}`, POSTERN_TOKEN: service.token },
      input: readEnrolScript(service.url),
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(host.read('host')).toBe(`${name}\n`)
    expect(readFileSync(join(host.root, 'etc/cron.d/postern-host'), 'utf8')).toBe(
      `* * * * * root ${script(host)} apply --jitter 15\n`,
    )
  })
})

test('a host whose RSA key is too weak to be pinned enrols with its others', async () => {
  const host = await start()
  const etc = join(host.root, 'etc/ssh')
  const rsa = join(etc, 'ssh_host_rsa_key')
  await execute('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', rsa])
  const config = join(etc, 'sshd_config')
  const text = readFileSync(config, 'utf8')
  writeFileSync(config, `HostKey ${rsa}\n${text}`)
  expect(await host.enrol()).toMatchObject({ code: 0, stderr: '' })
  expect(service.hostKeys(name)).toEqual([
    readFileSync(join(etc, 'ssh_host_ed25519_key.pub'), 'utf8').trim().split(' ', 2).join(' '),
  ])
  // Where it has no other it is told so while the token is good still.
  const { length } = service.requests
  writeFileSync(config, `HostKey ${rsa}\n${text.replace(/^HostKey .*$/gm, '')}`)
  expect(await host.enrol()).toMatchObject({
    code: 1,
    stderr:
      'postern: stopped: this host has no key that can be pinned, the token is not spent: ssh-keygen -A makes it some\n',
  })
  expect(service.requests.slice(length)).not.toContainEqual(expect.stringContaining('POST'))
})

test('a host stays as it is where sshd does not say whether it still needs the files', async () => {
  const host = await start()
  const config = join(host.root, 'etc/ssh/sshd_config')
  const text = readFileSync(config, 'utf8')
  expect((await host.enrol()).code).toBe(0)
  // The lines were merged by hand, and sshd runs by them; then somebody breaks the file.
  writeFileSync(config, `${readFileSync(dropIn(host), 'utf8')}${text}`)
  rmSync(dropIn(host))
  expect((await host.run(['reload'])).code).toBe(0)
  expect(await host.isOpenToAdmin()).toBe(true)
  writeFileSync(config, `Prot 2\n${readFileSync(config, 'utf8')}`)
  const { code, stderr } = await host.run(['remove'])
  expect(await host.isOpenToAdmin()).toBe(true)
  expect(code).toBe(1)
  expect(stderr).toBe(
    `postern-host: sshd does not say what it holds to: mend its configuration, then run this again; until then ${host.path('').replace(/\/$/, '')} has to stay\n`,
  )
})

describe('an enrolment that does not come to its end', () => {
  /** What must hold afterwards, whatever went wrong. */
  const expectUntouched = async (host: Host) => {
    expect(existsSync(dropIn(host))).toBe(false)
    expect(await host.isOpenToAdmin()).toBe(true)
    const { stdout } = await execute('/usr/sbin/sshd', [
      '-T',
      '-f',
      join(host.root, 'etc/ssh/sshd_config'),
    ])
    expect(stdout).not.toContain(`${host.path('.')}`)
  }

  test('with a token that is none, or spent, has touched nothing', async () => {
    const host = await start()
    const before = listTree(host)
    const ends = await Promise.all(
      ['', 'abc', `${'y'.repeat(43)}.${service.token.slice(44)}`].map((token) =>
        host.enrol({ token }),
      ),
    )
    expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual([
      [1, "postern: stopped: that is no token of 'postern host invite': run sh -s -- TOKEN\n"],
      [1, "postern: stopped: that is no token of 'postern host invite': run sh -s -- TOKEN\n"],
      [1, `postern: stopped: ${service.url}/v1/hosts/enrol: This token was used or has ended.\n`],
    ])
    expect(listTree(host)).toEqual(before)
  })

  test('with a wget that takes no token from a file has touched nothing', async () => {
    const host = await start()
    const before = listTree(host)
    const bin = join(dir, 'busybox')
    mkdirSync(bin)
    for (const file of readdirSync('/usr/bin').filter((entry) => !/^(curl|wget)$/.test(entry))) {
      symlinkSync(join('/usr/bin', file), join(bin, file))
    }
    // As that of BusyBox, which knows neither --version nor WGETRC.
    writeFileSync(
      join(bin, 'wget'),
      '#!/bin/sh\n[ "$1" != --version ] || exit 1\nexec env -u WGETRC /usr/bin/wget "$@"\n',
      { mode: 0o755 },
    )
    const { length } = service.requests
    expect(await host.enrol({ env: { PATH: `${host.root}/bin:${bin}` } })).toEqual({
      code: 1,
      stdout: '',
      stderr:
        "postern: stopped: it needs OpenSSH's server and client, 8.2 or newer, and curl or GNU wget\n",
    })
    expect(service.requests).toHaveLength(length)
    expect(listTree(host)).toEqual(before)
  })

  test('with a token of another key takes no script of this service', async () => {
    const host = await start()
    const before = listTree(host)
    const token = `${service.token.slice(0, 69)}${service.token.endsWith('A') ? 'B' : 'A'}${'A'.repeat(42)}`
    const { code, stderr } = await host.enrol({ token })
    expect(code).toBe(1)
    expect(stderr).toContain(
      `postern: stopped: ${service.url}/enrol/postern-host is not signed by the key in the token\n`,
    )
    expect(listTree(host)).toEqual(before)
  })

  test.each<[string, (etc: string) => readonly string[], string]>([
    [
      'has another CA already',
      (etc) => [`Include ${etc}/sshd_config.d/*.conf`, 'TrustedUserCAKeys /etc/ssh/other_ca.pub'],
      'trustedusercakeys /etc/ssh/other_ca.pub',
    ],
    [
      'has principals already',
      (etc) => [
        'AuthorizedPrincipalsFile /etc/ssh/principals',
        `Include ${etc}/sshd_config.d/*.conf`,
      ],
      'authorizedprincipalsfile /etc/ssh/principals',
    ],
    [
      // It would name principals beside those of the files.
      'asks a command for principals',
      (etc) => [
        `Include ${etc}/sshd_config.d/*.conf`,
        'AuthorizedPrincipalsCommand /bin/true',
        'AuthorizedPrincipalsCommandUser nobody',
      ],
      'authorizedprincipalscommand /bin/true',
    ],
    ['reads no drop-ins', () => [], 'none of them from'],
  ])('as sshd %s: prints what to merge [ATTACKS 227, 229]', async (_what, settings, held) => {
    const at = join(dir, `${hosts.length}`, name, 'etc/ssh')
    const host = await start({ settings: settings(at) })
    const { code, stderr } = await host.enrol()
    expect(code).toBe(1)
    expect(stderr).toContain(`It holds to: ${held}`)
    expect(stderr).toContain(`TrustedUserCAKeys        ${host.path('user_ca.pub')}\n`)
    await expectUntouched(host)
  })

  test('as a Match block says otherwise for one of its logins', async () => {
    const host = await start()
    const config = join(host.root, 'etc/ssh/sshd_config')
    writeFileSync(
      config,
      `${readFileSync(config, 'utf8')}Match User standby\n  RevokedKeys none\n  AuthorizedPrincipalsFile /etc/ssh/else\n`,
    )
    const { code, stderr } = await host.enrol()
    expect(code).toBe(1)
    expect(stderr).toContain(
      `for standby sshd does not hold to 'revokedkeys ${host.path('revoked.krl')}', but to 'revokedkeys none'`,
    )
    await expectUntouched(host)
  })

  test('as the certificate opens nothing: sshd is as it was, at once', async () => {
    const host = await start()
    service.spoilProof('somebody@elsewhere')
    const { code, stderr } = await host.enrol()
    service.spoilProof()
    expect(code).toBe(1)
    expect(stderr).toBe(
      `postern: stopped: a certificate does not open ${ownLogin}@127.0.0.1: ${ownLogin}@127.0.0.1: Permission denied (publickey).
postern: sshd is as it was before; enrol again with a new token once that is mended
`,
    )
    await expectUntouched(host)
    expect(await host.isOpenTo({ key, certificate })).toBe(false)
  })

  test('as the script is cut anywhere on its way has done nothing at all', async () => {
    const host = await start()
    const before = listTree(host)
    const whole = readEnrolScript(service.url)
    const requests = service.requests.length
    for (let end = 0; end < whole.length - 10; end += Math.ceil(whole.length / 20)) {
      await execute('sh', ['-s', '--', service.token, name], {
        env: host.env,
        input: whole.slice(0, end),
      })
    }
    expect(listTree(host)).toEqual(before)
    expect(service.requests).toHaveLength(requests)
  })
})

describe('the scripts', () => {
  const paths = ['enrol.sh', 'postern-host.sh'].map((file) =>
    join(import.meta.dirname, '../../src/hosts/scripts', file),
  )

  test.each(paths)('%s is read by dash, and is plain POSIX text', (path) => {
    expect(spawnSync('sh', ['-n', path]).status).toBe(0)
    const text = readFileSync(path, 'utf8')
    expect(text).toMatch(/^#!\/bin\/sh\n[\t\n -~]+\n$/)
    expect(text).not.toMatch(/\blocal \b|\[\[|\beval\b|\becho -/)
  })

  test('enrolment is at most 150 lines', () => {
    expect(readFileSync(paths[0] as string, 'utf8').split('\n').length - 1).toBeLessThanOrEqual(150)
  })
})
