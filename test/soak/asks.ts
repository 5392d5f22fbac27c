import type { Dice } from './report.ts'

/** Everybody who asks: their claims, as the issuer's tokens have them. */
export const people = {
  maya: { sub: 'u-1', groups: ['platform'], email: 'maya@vendor.example', email_verified: true },
  olga: { sub: 'u-2', groups: ['platform', 'oncall'] },
  sam: { sub: 'u-3', groups: [] },
  eve: { sub: 'u-4', groups: ['Platform', 'plat', '*'], email: 'maya@vendor.example' },
} as const

export type User = keyof typeof people
export const users = Object.keys(people) as readonly User[]

export const formatPolicy = (issuer: string): string => {
  const who = (more: string) => `who: [{ oidc: { issuer: "${issuer}", ${more} } }]`
  return `rules:
  - name: deploy
    ${who('groups: [platform]')}
    hosts: ["web-*.example.com"]
    logins: [deploy, runner]
    extensions: [permit-pty]
    ttl: 5m
    maxTtl: 15m
  - name: setup
    ${who('groups: [platform]')}
    hosts: ["runner-?.example.com"]
    logins: [runner]
    commands: { setup: /usr/local/sbin/setup, teardown: "/usr/local/sbin/setup --undo" }
    sourceAddresses: [10.2.0.0/16, 192.0.2.7/32]
    ttl: 2m
  - name: vendor
    ${who('email: maya@vendor.example')}
    hosts: [db-1.example.com]
    logins: [postgres]
    require: { reason: { minLength: 10 } }
    extensions: [permit-port-forwarding, permit-agent-forwarding, permit-pty]
    ttl: 10m
  - name: fleet
    ${who('groups: [oncall]')}
    hosts: ["*"]
    logins: [root]
    principals: ["{login}"]
    fleetWide: true
    ttl: 1m
  - name: no-root-there
    deny: nobody is root on a database host
    who: [everyone]
    hosts: ["db-*"]
    logins: [root]
`
}

/** What the policy says, said again by hand: the judge must not ask the judged. */
export const granted: Readonly<
  Record<
    string,
    {
      readonly users: readonly User[]
      readonly host: RegExp
      readonly logins: readonly string[]
      readonly principal: (host: string, login: string) => string
      readonly ttl: number
      readonly maxTtl: number
      readonly extensions: readonly string[]
      readonly commands?: Readonly<Record<string, string>>
      readonly sourceAddress?: string
    }
  >
> = {
  deploy: {
    users: ['maya', 'olga'],
    host: /^web-[^.]*\.example\.com$/,
    logins: ['deploy', 'runner'],
    principal: (host, login) => `${login}@${host}`,
    ttl: 300,
    maxTtl: 900,
    extensions: ['permit-pty'],
  },
  setup: {
    users: ['maya', 'olga'],
    host: /^runner-[^.]\.example\.com$/,
    logins: ['runner'],
    principal: (host, login) => `${login}@${host}`,
    ttl: 120,
    maxTtl: 120,
    extensions: [],
    commands: { setup: '/usr/local/sbin/setup', teardown: '/usr/local/sbin/setup --undo' },
    sourceAddress: '10.2.0.0/16,192.0.2.7/32',
  },
  vendor: {
    users: ['maya'],
    host: /^db-1\.example\.com$/,
    logins: ['postgres'],
    principal: (host, login) => `${login}@${host}`,
    ttl: 600,
    maxTtl: 600,
    extensions: ['permit-agent-forwarding', 'permit-port-forwarding', 'permit-pty'],
  },
  fleet: {
    users: ['olga'],
    host: /^(?!db-)/,
    logins: ['root'],
    principal: (_host, login) => login,
    ttl: 60,
    maxTtl: 60,
    extensions: [],
  },
}

export interface RandomAsk {
  readonly user: User
  /** The members that were meant; what is sent may be spelt in odd ways. */
  readonly members: Readonly<Record<string, unknown>>
  readonly text: string
}

const good: readonly Readonly<Record<string, unknown>>[] = [
  { host: 'web-1.example.com', login: 'deploy' },
  { host: 'web-eu-17.example.com', login: 'runner', ttl: '15m' },
  { host: 'web-2.example.com', login: 'deploy', ttl: '30s', reason: 'Grüße: "ü" \\ 試' },
  { host: 'runner-7.example.com', login: 'runner', command: 'setup' },
  { host: 'runner-7.example.com', login: 'runner', command: 'teardown', ttl: '90s' },
  { host: 'db-1.example.com', login: 'postgres', reason: 'restore the shop' },
  { host: 'anything.at.all.example', login: 'root' },
]

/** Values by member, good in one place and bad in most. */
const odd: Readonly<Record<string, readonly unknown[]>> = {
  host: [
    ...['WEB-1.example.com', 'web-1.example.com.', 'web-1.example.com\n', 'web-*.example.com', '*'],
    ...['web-.example.com', 'web-1.evil.example.com', 'xweb-1.example.com', '10.2.0.1', '::1', ''],
    ...['web-1.example.com,db-1.example.com', 'wеb-1.example.com', 'runner-10.example.com'],
    ...['db-1.example.com', 'db-2.example.com', `web-${'a'.repeat(60)}.example.com`, 7, null, []],
  ],
  login: [
    ...['root', 'deploy,root', 'deploy root', 'Deploy', 'deploy@web-1', '', '-oProxyCommand=x'],
    ...['deploy\n', 'deploy\0', '../root', 'postgres', 'runner', 'a'.repeat(33), '__proto__', {}],
  ],
  ttl: [
    ...['30s', '60s', '61s', '15m', '16m', '901s', '0s', '-1m', '1e3s', '999d', '5', ' 5m', '05m'],
    ...['5m5m', '1h', '9007199254740993s', 'Infinity', 300, null],
  ],
  command: ['setup', 'teardown', 'nope', '__proto__', 'constructor', '', '/bin/sh', 1],
  reason: [
    '',
    'short',
    'x'.repeat(512),
    'x'.repeat(513),
    'a\u001b[2Jb',
    'line\nline',
    '\u202ereason',
  ],
  extensions: [['permit-pty']],
  principals: [['root']],
  admin: [true],
}

const spoil = (line: string, dice: Dice): string =>
  dice.pick<(text: string) => string>([
    (text) => `${text} comment@host`,
    (text) => `${text}\n${text}`,
    (text) => `command="id" ${text}`,
    (text) => text.slice(0, -8),
    (text) => text.replace('ssh-', 'SSH-'),
    (text) => ` ${text}`,
    (text) => `${text}=`,
    (text) => {
      const at = dice.below(text.length)
      return `${text.slice(0, at)}A${text.slice(at + 1)}`
    },
    () => '-----BEGIN OPENSSH PRIVATE KEY-----',
    () => '',
  ])(line)

/** An ask that may be anything from plain to hostile; about a third of them are granted. */
export const createRandomAsk = (dice: Dice, keys: readonly string[]): RandomAsk => {
  const user = dice.isLikely(0.8) ? dice.pick(['maya', 'olga'] as const) : dice.pick(users)
  const members: Record<string, unknown> = { publicKey: dice.pick(keys), ...dice.pick(good) }
  if (dice.isLikely(0.5)) members['host'] = `web-${dice.below(1e6).toString(36)}.example.com`
  while (dice.isLikely(0.45)) {
    const name = dice.pick(Object.keys(odd))
    members[name] = dice.pick(odd[name] ?? [])
  }
  if (dice.isLikely(0.05)) members['publicKey'] = spoil(String(members['publicKey']), dice)
  if (dice.isLikely(0.02)) delete members[dice.pick(Object.keys(members))]
  const text = JSON.stringify(members)
  return { user, members, text: dice.isLikely(0.02) ? garble(text, members, dice) : text }
}

const garble = (text: string, members: Readonly<Record<string, unknown>>, dice: Dice): string => {
  const at = dice.below(text.length)
  return dice.pick([
    text.slice(0, at),
    `${text}${text}`,
    // Twice the same member; where there was none it would be an ask like any other.
    text.replace('{', 'login' in members ? '{"login":"root",' : '{{'),
    text.replace('{', '{"__proto__":{"login":"root"},'),
    `\ufeff${text}`,
    `[${text}]`,
  ])
}
