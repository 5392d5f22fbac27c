import { generateKeyPairSync, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { encodeSignature } from '../../src/ssh/signature.ts'
import { formatSshsig } from '../../src/ssh/sshsig.ts'
import { createPublicKeyLine } from '../app.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Outcome, type Running, runCli, startCli, writeFiles } from './run.ts'
import { createDirectory, createService } from './service.ts'

const web = 'web-7.example.com'
const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ'

let idp: OidcIssuer
let service: Running
let cwd: string
let url: string
beforeAll(async () => {
  idp = await startOidcIssuer()
  cwd = await createService(idp.issuer)
  writeFileSync(
    join(cwd, 'policies/hosts.yaml'),
    `hosts:
  - { name: db-1.example.com, aliases: [db-1], labels: { env: prod }, logins: [postgres], address: 10.2.0.9 }
roles:
  admin: [{ oidc: { issuer: "${idp.issuer}", subject: u-1001 } }]
`,
  )
  service = startCli(['serve'], { cwd })
  url = (await service.firstLine).replace('postern: ready on ', '')
})
afterAll(async () => {
  service.child.kill('SIGTERM')
  await service.ended
  await idp.close()
})

/** Without the warnings about the configuration, which are another file's matter. */
const run = async (...argv: readonly string[]): Promise<Outcome> => {
  const outcome = await runCli(['host', ...argv], { cwd })
  return { ...outcome, stderr: outcome.stderr.replaceAll(/^warning: .*\n/gm, '') }
}
const runFrom = async (user: string, ...argv: readonly string[]): Promise<Outcome> => {
  writeFiles(cwd, { token: `${await idp.mintFor(user)}\n` })
  const env = { POSTERN_TOKEN_FILE: 'token' }
  return runCli(['host', ...argv, '--url', url], { cwd, env })
}
const send = (path: string, credentials: string, body: unknown) =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credentials}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const enrol = async (line: string): Promise<string> => {
  const [, token = ''] = /sh -s -- (\S+)/.exec(line) ?? []
  const answer = await send('/v1/hosts/enrol', token, { name: web, hostKeys: [hostKey] })
  expect(answer.status).toBe(201)
  return answer.text()
}
const pair = generateKeyPairSync('ed25519')
const blob = encodePublicKey(pair.publicKey) as Uint8Array
const hostKey = `ssh-ed25519 ${encodeBase64(blob)}`
/** As the script on the host does after it has put a bundle in place. */
const report = async (version: number): Promise<number> => {
  const now = `${new Date().toISOString().slice(0, 19)}Z`
  const text = `postern-report v1\nhost ${web}\nversion ${version}\ntime ${now}\nend\n`
  const signature = formatSshsig({
    publicKey: blob,
    namespace: 'postern-host@v1',
    message: encodeUtf8(text),
    sign: (data) => encodeSignature('ssh-ed25519', sign(null, data, pair.privateKey)),
  })
  const headers = { 'content-type': 'text/plain' }
  const init = { method: 'POST', headers, body: text + signature }
  return (await fetch(`${url}/v1/hosts/${web}/report`, init)).status
}

describe('a host, from its invitation to its end', () => {
  test('is invited by a line to paste, listed, shown, and taken off the list', async () => {
    const invited = await run('invite', web, '--logins', 'deploy,root')
    expect(invited).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        new RegExp(
          `^curl -fsS \\S+/enrol \\| sh -s -- [\\w-]{43}\\.AAAAC3NzaC1lZDI1NTE5\\S{48} ${web}\n$`,
        ),
      ),
      stderr: expect.stringMatching(
        new RegExp(`^note: run this on ${web} as root; it is good once, until ${time}\n$`),
      ),
    })
    await enrol(invited.stdout)

    const listed = await run('list')
    expect(listed.code).toBe(0)
    expect(listed.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['host', 'source', 'logins', 'trust', 'last seen', 'standing'],
      [
        'db-1.example.com',
        'policy',
        'postgres',
        expect.stringMatching(/^- of \d+$/),
        '-',
        'never seen',
      ],
      [web, 'enrolled', 'deploy,root', expect.stringMatching(/^- of \d+$/), '-', 'never seen'],
      [''],
    ])
    expect(listed.stderr).toBe(
      `note: 0 of 1 hosts have the newest trust bundle; ${web} never seen; 1 that the policy lists has never reported.\n`,
    )

    const shown = await run('show', web)
    expect(shown.stderr).toBe('')
    expect(shown.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['name', web],
      ['port', '22'],
      ['logins', 'deploy, root'],
      ['host key', hostKey],
      ['source', 'enrolled'],
      ['enrolled', expect.stringMatching(new RegExp(`^${time}$`))],
      ['last seen', 'never'],
      ['trust bundle', expect.stringMatching(/^- of \d+, never seen$/)],
      [''],
    ])

    expect(await run('remove', web)).toEqual({
      code: 0,
      stdout: `${web} is off the list\n`,
      stderr: `note: from its next poll it takes no certificate, until it enrols again; what it takes besides is untouched
note: to take the files away as well, run there: postern-host remove
`,
    })
    expect(await run('show', web)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: No host of this name is known\.\ndetail: request req_/,
      ),
    })
    expect((await run('remove', web)).stderr).toMatch(
      /^error: No host of this name has enrolled\. One that the policy lists is taken out of its file\.\n/,
    )
  })

  test('is all there as JSON, and is found by its alias', async () => {
    const shown = await run('show', 'db-1', '--json')
    expect(JSON.parse(shown.stdout)).toEqual({
      name: 'db-1.example.com',
      aliases: ['db-1'],
      address: '10.2.0.9',
      port: 22,
      labels: { env: 'prod' },
      logins: ['postgres'],
      hostKeys: [],
      source: 'policy',
      wantedVersion: expect.any(Number),
      standing: 'never seen',
    })
    const listed = JSON.parse((await run('list', '--json')).stdout)
    expect(listed.hosts).toMatchObject([{ name: 'db-1.example.com' }])
    expect(listed.summary).toMatch(/^0 of 0 hosts have the newest trust bundle; 1 that /)
    const fleet = ['--pattern', 'runner-*.example.com', '--uses', '50', '--from', '10.2.0.0/16']
    const invited = await run('invite', ...fleet, '--logins', 'runner', '--expires', '2h', '--json')
    expect(JSON.parse(invited.stdout)).toMatchObject({
      pattern: 'runner-*.example.com',
      uses: 50,
      from: ['10.2.0.0/16'],
      logins: ['runner'],
      command: expect.stringMatching(/\| sh -s -- \S+ "\$\(hostname -f\)"$/),
    })
  })

  test('can be invited and taken off from elsewhere, by an admin alone', async () => {
    const refused = {
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: This needs the role (admin|auditor): /),
    }
    expect(await runFrom('sam', 'invite', web, '--logins', 'deploy')).toMatchObject(refused)
    expect(await runFrom('sam', 'list')).toMatchObject(refused)
    expect(await runFrom('sam', 'remove', web)).toMatchObject(refused)
    const invited = await runFrom('maya', 'invite', web, '--logins', 'deploy')
    expect(await enrol(invited.stdout)).toContain(`\nprincipal deploy deploy@${web}\n`)
    expect((await runFrom('maya', 'list')).stdout).toContain(`\n${web}  enrolled  deploy `)
    expect((await runFrom('maya', 'show', web)).stdout).toContain(hostKey)

    // The host says what it has, and the doctor at the desk what is missing there.
    const { wantedVersion } = JSON.parse((await run('show', web, '--json')).stdout)
    expect(await report(wantedVersion)).toBe(204)
    expect((await run('list')).stderr).toMatch(/^note: 1 of 1 hosts have the newest trust bundle; /)
    const person = `{ oidc: { issuer: "${idp.issuer}", subject: u-1001, groups: [platform] } }`
    const argv = ['doctor', web, '--as', person, '--login', 'root', '--json']
    const { findings } = JSON.parse((await runCli(argv, { cwd })).stdout)
    expect(findings.slice(1, 3)).toMatchObject([
      { name: 'trust', state: 'ok' },
      { name: 'login', state: 'bad', words: 'its bundle opens deploy, and not root' },
    ])
    expect(await runFrom('maya', 'remove', web)).toMatchObject({
      code: 0,
      stdout: `${web} is off the list\n`,
    })
    // What it may have pinned goes on answering for it, and grants nothing (hosts-real.test.ts).
    const bundle = await (await fetch(`${url}/v1/hosts/${web}/trust`)).text()
    expect(bundle).toMatch(
      new RegExp(`^postern-trust v1\nhost ${web}\nversion \\d+\nkrl \\d+ \\S+\nend\n`),
    )
  })
})

describe('postern host list --unknown', () => {
  test('tells which hosts on no list were asked for, and how often', async () => {
    const ask = async (host: string) =>
      send('/v1/certificates', await idp.mintFor('maya'), {
        publicKey: createPublicKeyLine(),
        host,
        login: 'deploy',
      })
    expect(await run('list', '--unknown')).toEqual({
      code: 0,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(`^note: every host asked for since ${time} is on the list\n$`),
      ),
    })
    for (const host of ['web-1.example.com', 'web-1.example.com', 'nas', 'db-1']) await ask(host)
    const { code, stdout } = await run('list', '--unknown')
    expect(code).toBe(1)
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['host', 'allowed', 'refused', 'last asked for'],
      ['web-1.example.com', '2', '0', expect.stringMatching(new RegExp(`^${time}$`))],
      ['nas', '0', '1', expect.stringMatching(new RegExp(`^${time}$`))],
      [''],
    ])
    const json = JSON.parse((await run('list', '--unknown', '--json', '--since', '1h')).stdout)
    expect(json.hosts).toMatchObject([
      { host: 'web-1.example.com', allowed: 2, refused: 0 },
      { host: 'nas', allowed: 0, refused: 1 },
    ])
  })
})

describe('postern host, told what it cannot do', () => {
  test.each([
    [
      ['invite'],
      'error: Name the host, or the hosts by a pattern.\nhint: postern host invite web-1.example.com --logins deploy\n',
    ],
    [['invite', web, '--uses', 'many'], /Write a whole number\./],
    [['invite', web, '--from', '10.2.0.0/99'], /Write blocks as 10\.2\.0\.0\/16/],
    [['list', '--since', 'x'], /Write a duration as 24h, or a time as/],
    [['show'], /missing required argument/],
  ])('says what is wrong with %j', async (argv, message) => {
    const { code, stdout, stderr } = await runCli(['host', ...argv], { cwd: createDirectory() })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    if (typeof message === 'string') expect(stderr).toBe(message)
    else expect(stderr).toMatch(message)
  })

  test.each([
    [
      ['invite', 'Web_1', '--logins', 'deploy'],
      'The name is not a host name: send letters, digits, hyphens and dots, in lower case.',
    ],
    [
      ['invite', web],
      'Name the logins that certificates are to open: the policy lists none for this host.',
    ],
    [
      ['invite', web, '--logins', '../etc'],
      'The logins are not valid: send a list of names, as ["deploy", "root"].',
    ],
    [
      ['invite', web, '--logins', 'deploy', '--uses', '2'],
      'The uses are not a number: send a whole number from 1 to 10000, with a pattern.',
    ],
    [
      ['invite', web, '--logins', 'deploy', '--expires', '8d'],
      'The ttl is not valid: send a duration from 1m to 7d, like "1h".',
    ],
    [['show', '../../v1/ca/keys'], 'No host of this name is known.'],
    [['show', '%2e%2e'], 'No host of this name is known.'],
  ])('hands on what the service says of %j', async (argv, message) => {
    const { code, stdout, stderr } = await run(...argv)
    expect({ code, stdout }).toEqual({ code: argv[0] === 'show' ? 1 : 2, stdout: '' })
    expect(stderr.split('\n')[0]).toBe(`error: ${message}`)
  })
})
