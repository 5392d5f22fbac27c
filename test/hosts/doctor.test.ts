import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { startTrustService } from '../fakes/trust.ts'
import { ownLogin } from '../ssh/client.ts'
import { startHost } from './host.ts'

const dir = mkdtempSync(join(tmpdir(), 'postern-doctor-'))
const service = await startTrustService({ dir })
service.tell({ logins: [ownLogin] })
const host = await startHost({ name: 'web-1.example.com', dir, service })
afterAll(async () => {
  await host.sshd.stop()
  await service.close()
  rmSync(dir, { recursive: true })
})
const enrolled = await host.enrol()
expect(enrolled.stderr).toBe('')

const dropIn = join(host.root, 'etc/ssh/sshd_config.d/50-postern.conf')
const config = join(host.root, 'etc/ssh/sshd_config')
const again =
  "As root here, run 'postern-host apply': it fetches a new bundle and writes the files again."
/** Changes a file's text until the returned function is called. */
const change = (path: string, make: (text: string) => string) => {
  const text = readFileSync(path, 'latin1')
  writeFileSync(path, make(text), 'latin1')
  return () => writeFileSync(path, text, 'latin1')
}

test('a host that is well has nothing to do', async () => {
  const { code, stdout } = await host.run(['doctor'])
  expect(stdout.split('\n').map((line) => line.slice(0, 6))).not.toContain('WRONG ')
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(
    `Nothing to do here: at the desk, 'postern doctor ${host.name} --as PERSON --login LOGIN' says why somebody is refused.`,
  )
  expect(code).toBe(0)
})

test.each<[string, () => () => void, RegExp, string]>([
  [
    'the KRL is empty',
    () => change(host.path('revoked.krl'), () => ''),
    /^WRONG {2}the KRL cannot be read: sshd refuses every key$/m,
    again,
  ],
  [
    'a CA key was added',
    () => change(host.path('user_ca.pub'), (text) => text + text),
    /^WRONG {2}user_ca\.pub is not as the bundle has it$/m,
    again,
  ],
  [
    'the bundle was changed',
    () => change(host.path('bundle'), (text) => text.replace('version', 'Version')),
    /^WRONG {2}the kept bundle: the pinned trust key did not sign it$/m,
    again,
  ],
  [
    'the principals may not be read by their user',
    () => {
      chmodSync(host.path('principals'), 0o700)
      return () => chmodSync(host.path('principals'), 0o755)
    },
    /^WRONG {2}owner or mode: .*\/principals$/m,
    `As root here: chown -R root ${host.path('.').replace(/\/\.?$/, '')} && chmod -R u=rwX,go=rX ${host.path('.').replace(/\/\.?$/, '')}`,
  ],
  [
    'an earlier line of sshd wins',
    () => change(config, (text) => `RevokedKeys none\n${text}`),
    /^WRONG {2}sshd: for \w+ sshd does not hold to 'revokedkeys .*', but to 'revokedkeys none'$/m,
    "As root here, mend sshd's configuration (what stands first wins), or run the enrolment again.",
  ],
  [
    'the drop-in is empty',
    () => change(dropIn, () => ''),
    /^WRONG {2}sshd: for \w+ sshd does not hold to 'trustedusercakeys /m,
    "As root here, mend sshd's configuration (what stands first wins), or run the enrolment again.",
  ],
  [
    'the last answer is old [ATTACKS 223]',
    () => change(host.path('checked'), (text) => `${Number(text) - 7200}\n`),
    /^WRONG {2}the last good answer is 12\d min old$/m,
    `Whoever runs the network or ${service.url} makes it reachable from here.`,
  ],
  [
    'the service is down',
    () => {
      service.misbehave('status 503')
      return () => service.misbehave()
    },
    /^WRONG {2}the service does not answer \(503\)$/m,
    `Whoever runs the network or ${service.url} makes it reachable from here; certificates work meanwhile.`,
  ],
  [
    'nothing runs it',
    () => {
      rmSync(join(host.root, 'etc/cron.d/postern-host'))
      return () => writeFileSync(join(host.root, 'etc/cron.d/postern-host'), '')
    },
    /^WRONG {2}nothing runs it every minute$/m,
    "As root here, run 'postern-host schedule'.",
  ],
  [
    'an account is locked, and PAM is off [ATTACKS 232]',
    () => {
      mkdirSync(join(host.root, 'etc'), { recursive: true })
      writeFileSync(join(host.root, 'etc/shadow'), `${ownLogin}:!$y$x:1::::::\n`)
      const undo = change(config, (text) => text.replace('UsePAM yes', 'UsePAM no'))
      return () => {
        undo()
        rmSync(join(host.root, 'etc/shadow'))
      }
    },
    new RegExp(`^WRONG  ${ownLogin} is locked, and without PAM sshd refuses it$`, 'm'),
    `As root here: usermod -p '*' ${ownLogin} (no password, but not locked).`,
  ],
])('%s: it is said, and who can mend it', async (_what, damage, finding, advice) => {
  const undo = damage()
  const { code, stdout } = await host.run(['doctor'])
  undo()
  expect(stdout).toMatch(finding)
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(advice)
  expect(code).toBe(1)
})

test('a clock that is off is held against the date of the service', async () => {
  const bin = join(host.root, 'bin/date')
  writeFileSync(
    bin,
    '#!/bin/sh\n[ "$1" = +%s ] && echo $(($(/bin/date +%s) - 300)) || /bin/date "$@"\n',
  )
  chmodSync(bin, 0o755)
  const { code, stdout } = await host.run(['doctor'])
  rmSync(bin)
  expect(stdout).toMatch(
    /^WRONG {2}our clock is -(299|300|301) s off the service's: certificates are too young or too old here$/m,
  )
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(
    'As root here, set the clock, and have NTP keep it (timedatectl set-ntp true).',
  )
  expect(code).toBe(1)
})
