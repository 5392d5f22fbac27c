import { formatJsonSchema, type JsonSchema } from '../lib/json-schema.ts'
import { createSchema, type Settings } from './schema.ts'

// What every key of postern.yaml means, for the editor. `Config` says the same to those who read code.

interface Word {
  readonly text: string
}

type Words<T> = { readonly [K in keyof T]-?: Word }

const configuration = {
  listen: {
    text: 'Where it listens: an address and a port, or unix:/path. Plain http only on loopback or behind trustedProxies. Default 127.0.0.1:8422.',
  },
  publicUrl: {
    text: 'The origin its clients use, as https://postern.example.com: what a proof is made for, and what links name. Default made of listen.',
  },
  dataDir: {
    text: 'Holds the log, postern.db, and the admin socket. Default data, beside this file.',
  },
  policyDir: { text: 'Its *.yaml are the policy. Default policies, beside this file.' },
  knownHostsOnly: {
    text: 'Whether certificates are only for hosts that the policy lists or that have enrolled. Default false.',
  },
  tls: { text: 'The certificate and key of the listener; plain http without.' },
  trustedProxies: {
    text: 'Addresses or blocks of the proxies in front, whose X-Forwarded-For is believed. Default none.',
  },
  limits: { text: 'How often, and how much at once. A rate is as 10/s, 600/m or 5000/h, or off.' },
  ca: { text: 'The CA key, and the longest life of a certificate.' },
  identity: {
    text: 'Who may ask: GitHub apps and OIDC issuers. Without one, serve refuses to start.',
  },
  audit: { text: 'The log of every decision.' },
  metrics: { text: 'Figures for Prometheus, on a listener of their own.' },
  log: { text: 'The service log: JSON lines on stderr.' },
} as const satisfies Words<Settings>

const tls = {
  cert: { text: 'A PEM file: the certificate, and those between it and the root.' },
  key: { text: 'A PEM file: its private key.' },
} as const satisfies Words<NonNullable<Settings['tls']>>

const limits = {
  perAddress: { text: 'Refused and unauthenticated requests of one address. Default 600/m.' },
  perIdentity: { text: 'All requests of one identity. Default 600/m.' },
  inFlight: { text: 'Requests worked on at once; one more is answered 503. Default 1024.' },
} as const satisfies Words<Settings['limits']>

const ca = {
  userKey: {
    text: 'The CA key: a file, 0600, or agent:SHA256:… for a key that an ssh-agent holds.',
  },
  userKeyPassphraseFile: { text: 'A file, 0600, with the passphrase of the key file.' },
  agentSocket: { text: 'The agent’s socket. Default $SSH_AUTH_SOCK.' },
  maxTtl: { text: 'The longest life any rule may give, at most 7d. Default 1h.' },
  backdate: {
    text: 'How far before now a certificate begins, for hosts whose clocks are slow; at most 5m. Default 60s.',
  },
} as const satisfies Words<Settings['ca']>

const identity = {
  github: { text: 'OAuth apps and GitHub Apps whose users’ tokens are taken.' },
  oidc: { text: 'Issuers whose tokens are taken.' },
} as const satisfies Words<Settings['identity']>

const github = {
  clientId: { text: 'The app’s client id.' },
  clientSecretFile: { text: 'A file, 0600, with the app’s client secret.' },
  type: { text: 'oauth-app or github-app. Default oauth-app.' },
  apiUrl: {
    text: 'The API’s URL, as https://ghe.example.com/api/v3 for an Enterprise Server. Default https://api.github.com.',
  },
} as const satisfies Words<Settings['identity']['github'][number]>

const oidc = {
  issuer: { text: 'The issuer, character by character as in its tokens.' },
  audience: {
    text: 'What its tokens must be for: one or a list. Ours alone: where two deployments share one, a token for one opens the other.',
  },
  algorithms: { text: 'Signature algorithms that are accepted. Default RS256, ES256, EdDSA.' },
  groupsClaim: { text: 'The claim that holds the groups. Default groups.' },
  nameClaim: {
    text: 'The claim to show as a name. Default: the first there is of the usual ones.',
  },
  mfa: {
    text: 'What proves a second factor: { amr: […] }, { acr: […] }, or enforced where the issuer lets nobody in without. Default: nothing does.',
  },
  maxTokenAge: { text: 'How old a token may be, at most 30d. Default 1h.' },
  login: { text: 'How people log in at a desk with postern login. Default: not with this issuer.' },
} as const satisfies Words<Settings['identity']['oidc'][number]>

const login = {
  clientId: {
    text: 'A public client, without a secret; it must be among the audience, for its ID tokens are what is sent.',
  },
  flows: {
    text: 'browser (code with PKCE, on a loopback port), device (a code typed on another machine). Default browser.',
  },
  scopes: {
    text: 'What is asked for; with offline_access the login is renewed. Default openid, profile, email.',
  },
} as const satisfies Words<NonNullable<Settings['identity']['oidc'][number]['login']>>

const mfa = {
  amr: { text: 'Values of the claim amr, one of which must be there.' },
  acr: { text: 'Values of the claim acr that mean a second factor.' },
} as const satisfies Record<string, Word>

const audit = {
  checkpoints: {
    text: 'The file that every signed checkpoint goes to; best on another disk. Default checkpoints in dataDir.',
  },
  copy: {
    text: 'Every entry once more as a line of JSON, for log shippers: stdout or a file. Default off.',
  },
} as const satisfies Words<Settings['audit']>

const metrics = {
  listen: { text: 'An address and a port, as 127.0.0.1:9422. Default off.' },
} as const satisfies Words<Settings['metrics']>

const log = {
  level: { text: 'debug, info, warn or error. Default info.' },
} as const satisfies Words<Settings['log']>

const words = {
  configuration,
  tls,
  limits,
  ca,
  identity,
  github,
  oidc,
  mfa,
  login,
  audit,
  metrics,
  log,
} as const

/** The JSON Schema of the configuration, postern.yaml. */
export const createConfigSchema = (): JsonSchema =>
  formatJsonSchema(
    createSchema((path) => path),
    'The configuration of Postern',
    words,
  )
