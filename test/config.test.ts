import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { variables } from '../src/config/variables.ts'
import { type Config, loadConfig } from '../src/config.ts'
import { createDirectory, idp, key, listProblems, load, oidc, write } from './config/load.ts'

describe('a configuration', () => {
  test('that names its CA key alone has every default, and listens on loopback (ATTACKS 335)', async () => {
    const dir = write(key)
    const { config, warnings } = await loadConfig({ env: {}, cwd: dir })
    expect(config).toEqual({
      file: join(dir, 'postern.yaml'),
      listen: { kind: 'tcp', host: '127.0.0.1', port: 8422 },
      publicUrl: 'http://127.0.0.1:8422',
      dataDir: join(dir, 'data'),
      policyDir: join(dir, 'policies'),
      knownHostsOnly: false,
      trustedProxies: [],
      limits: {
        perAddress: { count: 600, windowSeconds: 60 },
        perIdentity: { count: 600, windowSeconds: 60 },
        inFlight: 1024,
      },
      ca: {
        userKey: { kind: 'file', path: join(dir, 'user_ca') },
        maxTtlSeconds: 3600,
        backdateSeconds: 60,
      },
      identity: { github: [], oidc: [] },
      audit: { checkpoints: join(dir, 'data', 'checkpoints') },
      metrics: {},
      log: { level: 'info' },
    })
    expect(warnings).toEqual([])
  })

  test('that says everything is read whole, its paths from its own directory', async () => {
    const dir = write(`
listen: "[::1]:9000"
publicUrl: https://postern.example.com/
dataDir: /var/lib/postern
policyDir: ../rules
knownHostsOnly: true
tls: { cert: tls.crt, key: tls.key }
trustedProxies: [10.2.0.0/16, 192.0.2.7]
limits: { perAddress: off, perIdentity: 10/s, inFlight: 5 }
ca:
  userKey: agent:SHA256:${'A'.repeat(43)}
  agentSocket: agent.sock
  maxTtl: 8h
  backdate: 5m
identity:
  github:
    - { clientId: Iv1.a, clientSecretFile: secrets/github }
    - clientId: b
      clientSecretFile: /run/secrets/b
      type: github-app
      apiUrl: https://ghe.example.com/api/v3
  oidc:
    - { issuer: https://tenant.auth.example/, audience: [a, b], algorithms: [PS256], groupsClaim: roles, nameClaim: name, mfa: enforced, maxTokenAge: 10m }
    - { ${idp}, mfa: { amr: [mfa, hwk] }, login: { clientId: https://postern.example.com } }
audit: { checkpoints: /mnt/other/checkpoints, copy: log.jsonl }
metrics: { listen: 0.0.0.0:9422 }
log: { level: debug }
`)
    const { config } = await loadConfig({ file: `${dir}/postern.yaml`, env: {}, cwd: '/' })
    expect(config).toEqual({
      file: join(dir, 'postern.yaml'),
      listen: { kind: 'tcp', host: '::1', port: 9000 },
      publicUrl: 'https://postern.example.com',
      dataDir: '/var/lib/postern',
      policyDir: join(dir, '..', 'rules'),
      knownHostsOnly: true,
      tls: { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') },
      trustedProxies: [
        { text: '10.2.0.0/16', family: 'ipv4', address: '10.2.0.0', prefix: 16 },
        { text: '192.0.2.7/32', family: 'ipv4', address: '192.0.2.7', prefix: 32 },
      ],
      limits: { perAddress: 'off', perIdentity: { count: 10, windowSeconds: 1 }, inFlight: 5 },
      ca: {
        userKey: { kind: 'agent', fingerprint: `SHA256:${'A'.repeat(43)}` },
        agentSocket: join(dir, 'agent.sock'),
        maxTtlSeconds: 8 * 3600,
        backdateSeconds: 300,
      },
      identity: {
        github: [
          {
            clientId: 'Iv1.a',
            clientSecretFile: join(dir, 'secrets/github'),
            type: 'oauth-app',
            apiUrl: 'https://api.github.com',
          },
          {
            clientId: 'b',
            clientSecretFile: '/run/secrets/b',
            type: 'github-app',
            apiUrl: 'https://ghe.example.com/api/v3',
          },
        ],
        oidc: [
          {
            issuer: 'https://tenant.auth.example/',
            audience: ['a', 'b'],
            algorithms: ['PS256'],
            groupsClaim: 'roles',
            nameClaim: 'name',
            mfa: 'enforced',
            maxTokenAgeSeconds: 600,
          },
          {
            issuer: 'https://idp.example.com',
            audience: ['https://postern.example.com'],
            algorithms: ['RS256', 'ES256', 'EdDSA'],
            groupsClaim: 'groups',
            mfa: { amr: ['mfa', 'hwk'] },
            maxTokenAgeSeconds: 3600,
            login: {
              clientId: 'https://postern.example.com',
              flows: ['browser'],
              scopes: ['openid', 'profile', 'email'],
            },
          },
        ],
      },
      audit: {
        checkpoints: '/mnt/other/checkpoints',
        copy: { kind: 'file', path: join(dir, 'log.jsonl') },
      },
      metrics: { listen: { kind: 'tcp', host: '0.0.0.0', port: 9422 } },
      log: { level: 'debug' },
    } satisfies Config)
  })

  test('is frozen through and through (ATTACKS 67)', async () => {
    const { config } = await load(oidc(idp))
    const isFrozen = (value: unknown): boolean =>
      typeof value !== 'object' ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(isFrozen))
    expect(isFrozen(config)).toBe(true)
  })

  test('takes the agent of the shell where it names none', async () => {
    const { config } = await load(key, { SSH_AUTH_SOCK: '/tmp/agent' })
    expect(config.ca.agentSocket).toBe('/tmp/agent')
    const { config: none } = await load(key, { SSH_AUTH_SOCK: '' })
    expect(none.ca.agentSocket).toBeUndefined()
  })

  test.each([
    ['127.0.0.1:0', 'http://127.0.0.1:0'],
    ['localhost:80', 'http://localhost'],
    ['"[::1]:8422"', 'http://[::1]:8422'],
    ['unix:/run/postern.sock', 'http://localhost'],
  ])('that listens on %s has the public URL %s', async (listen, publicUrl) => {
    const { config } = await load(`${key}listen: ${listen}\n`)
    expect(config.publicUrl).toBe(publicUrl)
  })

  test('on a socket is relative to the file as well', async () => {
    const dir = write(`${key}listen: unix:run/postern.sock\n`)
    const { config } = await loadConfig({ env: {}, cwd: dir })
    expect(config.listen).toEqual({ kind: 'unix', path: join(dir, 'run/postern.sock') })
  })
})

describe('where it is', () => {
  test('--config wins over POSTERN_CONFIG, and that over ./postern.yaml', async () => {
    const [here, named, given] = [write(key), write(key), write(key)]
    const env = { POSTERN_CONFIG: join(named, 'postern.yaml') }
    const file = join(given, 'postern.yaml')
    expect((await loadConfig({ file, env, cwd: here })).config.file).toBe(file)
    expect((await loadConfig({ env, cwd: here })).config.file).toBe(env.POSTERN_CONFIG)
    expect((await loadConfig({ env: {}, cwd: here })).config.file).toBe(join(here, 'postern.yaml'))
  })

  test('nothing there is a refusal that says how to make one', async () => {
    await expect(loadConfig({ env: {}, cwd: createDirectory() })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The configuration postern.yaml cannot be read.',
      hint: 'name it with --config FILE, or make one: postern init',
    })
  })

  // ATTACKS 156: it names who says who somebody is, and where the policy is.
  test('what anybody may write is refused', async () => {
    const dir = write(key)
    chmodSync(join(dir, 'postern.yaml'), 0o646)
    await expect(loadConfig({ env: {}, cwd: dir })).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'Anyone on this machine may write to postern.yaml.',
      hint: 'whoever can may name identity providers and policies of their own: chmod o-w postern.yaml',
    })
    chmodSync(join(dir, 'postern.yaml'), 0o664)
    expect((await loadConfig({ env: {}, cwd: dir })).warnings).toEqual([])
  })
})

describe('the environment', () => {
  test('sets every scalar, and wins over the file', async () => {
    const { config, warnings } = await load(`${key}listen: 127.0.0.1:1\n`, {
      POSTERN_CONFIG: 'postern.yaml',
      POSTERN_LISTEN: '127.0.0.1:2',
      POSTERN_PUBLIC_URL: 'https://p.example',
      POSTERN_DATA_DIR: '/d',
      POSTERN_POLICY_DIR: '/p',
      POSTERN_KNOWN_HOSTS_ONLY: 'true',
      POSTERN_TLS_CERT: '/c',
      POSTERN_TLS_KEY: '/k',
      POSTERN_LIMITS_PER_ADDRESS: '1/s',
      POSTERN_LIMITS_PER_IDENTITY: 'off',
      POSTERN_LIMITS_IN_FLIGHT: '7',
      POSTERN_CA_USER_KEY: '/ca',
      POSTERN_CA_USER_KEY_PASSPHRASE_FILE: '/pass',
      POSTERN_CA_AGENT_SOCKET: '/agent',
      POSTERN_CA_MAX_TTL: '2h',
      POSTERN_CA_BACKDATE: '5s',
      POSTERN_AUDIT_CHECKPOINTS: '/c/points',
      POSTERN_AUDIT_COPY: 'stdout',
      POSTERN_METRICS_LISTEN: '127.0.0.1:3',
      POSTERN_LOG_LEVEL: 'warn',
    })
    expect(warnings).toEqual([])
    expect(config).toMatchObject({
      listen: { port: 2 },
      publicUrl: 'https://p.example',
      dataDir: '/d',
      policyDir: '/p',
      knownHostsOnly: true,
      tls: { cert: '/c', key: '/k' },
      limits: { perAddress: { count: 1, windowSeconds: 1 }, perIdentity: 'off', inFlight: 7 },
      ca: {
        userKey: { kind: 'file', path: '/ca' },
        userKeyPassphraseFile: '/pass',
        agentSocket: '/agent',
        maxTtlSeconds: 7200,
        backdateSeconds: 5,
      },
      audit: { checkpoints: '/c/points', copy: { kind: 'stdout' } },
      metrics: { listen: { port: 3 } },
      log: { level: 'warn' },
    })
    // Each variable is in the list above; one more in the table needs one more here.
    expect(variables.size).toBe(19)
  })

  test('can hold what the file leaves out', async () => {
    const { config } = await load('', { POSTERN_CA_USER_KEY: '/ca' })
    expect(config.ca.userKey).toEqual({ kind: 'file', path: '/ca' })
  })

  test.each([
    ['POSTERN_CA_MAX_TTL', '5', 'must be a duration, as 90s, 15m, 1h or 7d'],
    ['POSTERN_LIMITS_IN_FLIGHT', '1e3', 'must be a whole number'],
    ['POSTERN_DATA_DIR', '', 'is empty: write a value, or leave the key out'],
    ['POSTERN_LOG_LEVEL', 'all', 'must be debug, info, warn or error'],
  ])('%s=%s is refused by its name', async (name, value, problem) => {
    expect(await listProblems(key, { [name]: value })).toEqual([`${name}: ${problem}`])
  })

  test('does not mend a map that is none', async () => {
    expect(await listProblems('ca: user_ca\n', { POSTERN_CA_USER_KEY: '/ca' })).toEqual([
      'postern.yaml:1:5: must be a map of keys',
    ])
  })

  test('with an unknown variable is a warning that names the nearest', async () => {
    const { warnings } = await load(key, {
      POSTERN_LISTN: 'x',
      POSTERN_SERVICE_HOST: '10.0.0.1',
      POSTERN_CA_MAXTTL: '1h',
      OTHER: 'x',
    })
    expect(warnings).toEqual([
      'the variable POSTERN_CA_MAXTTL is no setting of ours and is not read; the nearest that is: POSTERN_CA_MAX_TTL',
      'the variable POSTERN_LISTN is no setting of ours and is not read; the nearest that is: POSTERN_LISTEN',
      'the variable POSTERN_SERVICE_HOST is no setting of ours and is not read',
    ])
  })

  test('has no variable for what only the file may say: issuers, API URLs, secrets (ATTACKS 127, 332)', () => {
    const names = [...variables.keys()]
    expect(names.filter((name) => /_IDENTITY_|API|ISSUER|PROXIES/.test(name))).toEqual([])
    expect(names.filter((name) => /SECRET|PASS|TOKEN/.test(name))).toEqual([
      'POSTERN_CA_USER_KEY_PASSPHRASE_FILE',
    ])
  })
})

test('the README says the same of every setting', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const path of variables.values()) expect(readme).toContain(path.join('.'))
})
