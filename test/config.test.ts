import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { variables } from '../src/config/variables.ts'
import { type Config, loadConfig } from '../src/config.ts'
import { AppError, exitOf } from '../src/errors.ts'
import { useDirectories } from './fakes/directory.ts'

const createDirectory = useDirectories()

const write = (text: string): string => {
  const dir = createDirectory()
  writeFileSync(join(dir, 'postern.yaml'), text)
  return dir
}

const load = (text: string, env: Record<string, string> = {}) =>
  loadConfig({ env, cwd: write(text) })

/** The lines of the refusal, which is `invalid_config` and so exit 78. */
const listProblems = async (text: string, env: Record<string, string> = {}) => {
  const error = await load(text, env).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(AppError)
  const { code, message } = error as AppError
  expect(code).toBe('invalid_config')
  expect(exitOf(code)).toBe(78)
  return message.split('\n')
}

const key = 'ca: { userKey: user_ca }\n'
const oidc = (fields: string) => `${key}identity: { oidc: [{ ${fields} }] }\n`
const idp = 'issuer: https://idp.example.com, audience: https://postern.example.com'

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
    - { ${idp}, mfa: { amr: [mfa, hwk] } }
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
          },
        ],
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
})

describe('everything wrong', () => {
  test('is named at once, each with its place (ATTACKS 333)', async () => {
    expect(
      await listProblems(`listen: 0.0.0.0:8422
dataDirr: x
tls2: { cert: a }
ca:
  userKey: user_ca
  maxTtl: 90
limits: { perAddress: 5/d, inFlight: 0 }
identity:
  github:
    - { clientId: a, clientSecret: hunter2 }
`),
    ).toEqual([
      'postern.yaml:1:9: plain http beyond loopback would carry tokens in the clear; set tls, or name the proxies in front with trustedProxies: [10.2.0.7], or listen on 127.0.0.1',
      'postern.yaml:2:1: unknown key "dataDirr"; did you mean "dataDir"?',
      'postern.yaml:3:1: unknown key "tls2"; did you mean "tls"?',
      'postern.yaml:6:11: must be text; put it in quotes where YAML reads it as something else',
      'postern.yaml:7:23: must be a rate, as 10/s, 600/m or 5000/h, or off',
      'postern.yaml:7:38: must be at least 1',
      'postern.yaml:10:7: "clientSecretFile" is missing',
      'postern.yaml:10:22: unknown key "clientSecret"; did you mean "clientSecretFile"?',
    ])
  })

  test.each([
    ['', 'postern.yaml:1:1: "ca" is missing'],
    ['[]', 'postern.yaml:1:1: must be a map of keys'],
    ['ca:\n', 'postern.yaml:1:4: is empty: write a value, or leave the key out'],
    ['ca: {}\n', 'postern.yaml:1:5: "userKey" is missing'],
    ['ca: { userKey: a, userKey: b }\n', 'postern.yaml:1:19: the key stands here twice; keep one'],
    [
      'ca: { userKey: agent:MD5:00 }\n',
      'postern.yaml:1:16: must name the key as ssh-add -l prints it, as agent:SHA256:… (43 characters)',
    ],
    [
      'ca: { userKey: a, userKeyPassphrase: hunter2 }\n',
      'postern.yaml:1:19: unknown key "userKeyPassphrase"; did you mean "userKeyPassphraseFile"?',
    ],
    ['ca: { userKey: a, backdate: 6m }\n', 'postern.yaml:1:29: must be between 1s and 5m'],
    ['ca: { userKey: a, maxTtl: 8d }\n', 'postern.yaml:1:27: must be between 1s and 7d'],
    [
      'ca: { userKey: a, maxTtl: 0s }\n',
      'postern.yaml:1:27: must be a duration, as 90s, 15m, 1h or 7d',
    ],
    [`${key}tls: { cert: a }\n`, 'postern.yaml:2:6: "key" is missing'],
    [`${key}log: { level: trace }\n`, 'postern.yaml:2:15: must be debug, info, warn or error'],
    [`${key}dataDir: "a\\0b"\n`, 'postern.yaml:2:10: must not hold control characters'],
    [
      `${key}trustedProxies: [10.2.0.1/16]\n`,
      'postern.yaml:2:18: must be an address or a block without host bits, as 10.2.0.0/16 or 10.2.0.7',
    ],
    [
      `${key}trustedProxies: [0.0.0.0/0]\n`,
      'postern.yaml:2:18: trusts every address there is; name the proxies, as 10.2.0.7',
    ],
    [
      `${key}metrics: { listen: unix:/a }\n`,
      'postern.yaml:2:20: must be an address and a port, as 127.0.0.1:8422 or "[::1]:8422"',
    ],
    [
      `ca: { userKey: "agent:SHA256:${'A'.repeat(43)}", userKeyPassphraseFile: a }\n`,
      'postern.yaml:1:99: goes with a key file; a key in an agent is unlocked there',
    ],
  ])('%j is refused', async (text, problem) => {
    expect(await listProblems(text)).toEqual([problem])
  })

  test.each([
    '8422',
    ':8422',
    '*:8422',
    '127.0.0.1',
    '127.0.0.1:65536',
    '127.0.0.1:08',
    '127.1:8422',
    'a_b:1',
    '::1:8422',
    '[127.0.0.1]:1',
  ])('listen: %s is no address', async (listen) => {
    expect(await listProblems(`${key}listen: "${listen}"\n`)).toEqual([
      'postern.yaml:2:9: must be an address and a port, as 127.0.0.1:8422 or "[::1]:8422", or unix:/path',
    ])
  })

  test('a socket with a path longer than a socket may have is refused', async () => {
    expect(await listProblems(`${key}listen: unix:/${'a'.repeat(107)}\n`)).toEqual([
      "postern.yaml:2:9: is longer than the 107 bytes a socket's path may have",
    ])
  })
})

describe('a plain-http listener beyond loopback (ATTACKS 335)', () => {
  test.each(['0.0.0.0:8422', '"[::]:8422"', '10.2.0.1:8422', 'postern.example.com:80'])(
    'on %s needs tls or trustedProxies',
    async (listen) => {
      const plain = `${key}listen: ${listen}\n`
      expect(await listProblems(plain)).toEqual([
        'postern.yaml:2:9: plain http beyond loopback would carry tokens in the clear; set tls, or name the proxies in front with trustedProxies: [10.2.0.7], or listen on 127.0.0.1',
      ])
      expect(await listProblems(`${plain}trustedProxies: []\n`)).toHaveLength(1)
      await load(`${plain}trustedProxies: [10.2.0.7]\n`)
      await load(`${plain}tls: { cert: a, key: b }\n`)
    },
  )

  test('set by a variable is refused by its name', async () => {
    expect(await listProblems(key, { POSTERN_LISTEN: '0.0.0.0:80' })).toEqual([
      'POSTERN_LISTEN: plain http beyond loopback would carry tokens in the clear; set tls, or name the proxies in front with trustedProxies: [10.2.0.7], or listen on 127.0.0.1',
    ])
  })

  test('has no public URL by itself, and is told so', async () => {
    const { warnings } = await load(`${key}listen: 0.0.0.0:80\ntrustedProxies: [10.2.0.7]\n`)
    expect(warnings).toEqual([
      'publicUrl is http://0.0.0.0, which no client can call; set it to the URL they use',
    ])
  })
})

describe('a URL', () => {
  const https = 'must begin with https://; plain http is for loopback alone'
  test.each([
    ['http://idp.example.com', https],
    ['http://localhost.example.com', https],
    ['http://127.0.0.1.example.com', https],
    ['ftp://idp.example.com', 'must be a URL, as https://idp.example.com'],
    ['idp.example.com', 'must be a URL, as https://idp.example.com'],
    ['https://idp.example.com ', 'must be a URL, as https://idp.example.com'],
    ['https://idp.example.com\\@evil.example', 'must be a URL, as https://idp.example.com'],
    ['https://', 'must be a URL, as https://idp.example.com'],
    ['https://user@idp.example.com', 'must not hold a user name or password'],
    ['https://idp.example.com?tenant=a', 'must end before any ? or #'],
    ['https://idp.example.com/#', 'must end before any ? or #'],
  ])('%j is no issuer, API or public URL', async (url, problem) => {
    const text = JSON.stringify(url)
    expect(await listProblems(oidc(`audience: a, issuer: ${text}`))).toEqual([
      `postern.yaml:2:43: ${problem}`,
    ])
    expect(
      await listProblems(
        `${key}identity: { github: [{ clientId: a, clientSecretFile: b, apiUrl: ${text} }] }\n`,
      ),
    ).toEqual([`postern.yaml:2:66: ${problem}`])
    expect(await listProblems(`${key}publicUrl: ${text}\n`)).toEqual([
      `postern.yaml:2:12: ${problem}`,
    ])
  })

  test.each(['http://127.0.0.1:9', 'http://localhost:9', 'http://[::1]:9', 'https://idp.example'])(
    '%s is taken as it is',
    async (url) => {
      const { config } = await load(oidc(`audience: a, issuer: "${url}"`))
      expect(config.identity.oidc[0]?.issuer).toBe(url)
    },
  )

  test('of ours has no path, and of an API no final slash', async () => {
    expect(await listProblems(`${key}publicUrl: https://a.example/postern\n`)).toEqual([
      'postern.yaml:2:12: must be an origin alone, as https://a.example',
    ])
    expect(
      await listProblems(
        `${key}identity: { github: [{ clientId: a, clientSecretFile: b, apiUrl: "https://a.example/" }] }\n`,
      ),
    ).toEqual(['postern.yaml:2:66: must not end with a slash'])
  })

  // ATTACKS 102: anybody's tenant would be let in ("nOAuth").
  test.each([
    'https://login.microsoftonline.com/common/v2.0',
    'https://login.microsoftonline.com/organizations/v2.0',
    'https://login.microsoftonline.com/consumers/v2.0',
    'https://login.microsoftonline.com/{tenantid}/v2.0',
    'https://LOGIN.microsoftonline.com/common/v2.0',
    'https://login.microsoftonline.us/common/v2.0',
    'https://sts.windows.net/common/',
  ])('%s is every tenant of Entra ID, and refused (ATTACKS 102)', async (issuer) => {
    expect(await listProblems(oidc(`audience: a, issuer: "${issuer}"`))).toEqual([
      'postern.yaml:2:43: is not one tenant of Entra ID; write its id, as https://login.microsoftonline.com/<tenant id>/v2.0',
    ])
  })

  test('of one tenant of Entra ID is taken', async () => {
    const issuer = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'
    await load(oidc(`audience: a, issuer: "${issuer}"`))
  })
})

describe('an identity provider', () => {
  const emptyList = 'is an empty list, which grants nothing; name something or leave the key out'
  const emptyText = 'is empty: write a value, or leave the key out'
  test.each([
    ['issuer: https://a.example', '2:20: "audience" is missing'],
    [
      'issuer: https://a.example, audience: ""',
      '2:59: must be an audience or a list of them, none empty',
    ],
    ['issuer: https://a.example, audience: []', `2:59: ${emptyList}`],
    ['issuer: https://a.example, audience: [a, ""]', `2:63: ${emptyText}`],
    [
      'issuer: https://a.example, audience: 7',
      '2:59: must be an audience or a list of them, none empty',
    ],
  ])(
    '{ %s } is refused: an empty audience is everybody’s (ATTACKS 87)',
    async (fields, problem) => {
      expect(await listProblems(oidc(fields))).toEqual([`postern.yaml:${problem}`])
    },
  )

  test.each(['none', 'HS256', 'HS512', 'ES256K', 'rs256', 'dir', 'A128KW'])(
    'may not use the algorithm %s',
    async (algorithm) => {
      const [problem] = await listProblems(oidc(`${idp}, algorithms: [${algorithm}]`))
      expect(problem).toMatch(/^postern\.yaml:2:\d+: must be RS256, RS384, .*, EdDSA or Ed25519$/)
    },
  )

  test('must use at least one algorithm', async () => {
    expect(await listProblems(oidc(`${idp}, algorithms: []`))).toEqual([
      'postern.yaml:2:106: is an empty list, which grants nothing; name something or leave the key out',
    ])
  })

  test.each(['yes', '[mfa]', '{ amr: [mfa], acr: [a] }', '{ arm: [mfa] }'])(
    'is not told that %s proves a second factor',
    async (mfa) => {
      const [problem] = await listProblems(oidc(`${idp}, mfa: ${mfa}`))
      expect(problem).toMatch(
        /: must be \{ amr: \[mfa\] \}, \{ acr: \[the values that mean it\] \} or enforced$/,
      )
    },
  )

  test('stands there once', async () => {
    const twin = `{ ${idp} }`
    expect(await listProblems(`${key}identity: { oidc: [${twin}, ${twin}] }\n`)).toEqual([
      'postern.yaml:2:96: is the second entry for this issuer; make one of them',
    ])
    const app = '{ clientId: a, clientSecretFile: b }'
    expect(await listProblems(`${key}identity: { github: [${app}, ${app}] }\n`)).toEqual([
      'postern.yaml:2:60: is the second entry for this client; make one of them',
    ])
  })

  test('with an audience that any deployment may have is doubted, a client id is not (ATTACKS 112)', async () => {
    const { warnings } = await load(
      oidc('issuer: https://idp.example.com, audience: [postern, 0oa1b2c3]'),
    )
    expect(warnings).toEqual([
      'the audience "postern" of https://idp.example.com may be another deployment\'s as well, and a token for one then opens the other; put this one\'s name into it, as http://127.0.0.1:8422',
    ])
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
      POSTERN_METRICS_LISTEN: '127.0.0.1:3',
      POSTERN_LOG_LEVEL: 'warn',
    })
    expect(warnings).toEqual([])
    expect(config).toMatchObject({
      listen: { port: 2 },
      publicUrl: 'https://p.example',
      dataDir: '/d',
      policyDir: '/p',
      tls: { cert: '/c', key: '/k' },
      limits: { perAddress: { count: 1, windowSeconds: 1 }, perIdentity: 'off', inFlight: 7 },
      ca: {
        userKey: { kind: 'file', path: '/ca' },
        userKeyPassphraseFile: '/pass',
        agentSocket: '/agent',
        maxTtlSeconds: 7200,
        backdateSeconds: 5,
      },
      metrics: { listen: { port: 3 } },
      log: { level: 'warn' },
    })
    // Each variable is in the list above; one more in the table needs one more here.
    expect(variables.size).toBe(16)
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
