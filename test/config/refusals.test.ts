import { describe, expect, test } from 'vitest'
import { idp, key, listProblems, load, oidc } from './load.ts'

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

  // Else two spellings of one server would be two providers.
  test.each([
    ['https://API.github.com', 'https://api.github.com'],
    ['https://api.github.com:443', 'https://api.github.com'],
    ['https://ghe.example.com/api/./v3', 'https://ghe.example.com/api/v3'],
  ])('of an API is not %s', async (url, plain) => {
    expect(
      await listProblems(
        `${key}identity: { github: [{ clientId: a, clientSecretFile: b, apiUrl: "${url}" }] }\n`,
      ),
    ).toEqual([`postern.yaml:2:66: must be written as ${plain}`])
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

  test('logs nobody in whose ID tokens it would refuse', async () => {
    expect(await listProblems(oidc(`${idp}, login: { clientId: postern-cli }`))).toEqual([
      'postern.yaml:2:113: is not among the audience, so the ID tokens of postern login would be refused',
    ])
    expect(await listProblems(oidc(`${idp}, login: { clientId: a, clientSecret: b }`))).toEqual([
      'postern.yaml:2:113: is not among the audience, so the ID tokens of postern login would be refused',
      'postern.yaml:2:116: unknown key "clientSecret"; known are clientId, flows, scopes',
    ])
  })

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
