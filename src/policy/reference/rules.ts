import type { ReasonShape, RequireShape } from '../require-schema.ts'
import type { AllowShape, DenyShape } from '../schema.ts'
import type { When } from '../when.ts'
import type { Word, Words } from './word.ts'

export const file = {
  identities: {
    text: 'Named people: a name and a list of who entries, which any who of any file can then name. One person may have several.',
    example:
      'identities: { oncall: [{ oidc: { issuer: https://idp.example.com, groups: [oncall] } }] }',
  },
  hostGroups: {
    text: 'Named groups of hosts: a name and a list of host entries, which the hosts of any rule can then name.',
    example: 'hostGroups: { front: ["web-*.example.com", lb-1.example.com] }',
  },
  hosts: {
    text: 'Hosts known by name. Labels find them, and `postern policy check` says where a pattern matches none of them. Rules may name other hosts too.',
    example: 'hosts: [{ name: web-1.example.com, labels: { env: prod } }]',
  },
  roles: {
    text: 'Who may do more with the service than ask for certificates. Left out, or without an entry, a role is nobody’s.',
    example: 'roles: { admin: [{ identities: platform }] }',
  },
  rules: {
    text: 'The rules. Those that deny are read first, in any file; then those that allow, files in the order of their names, top to bottom. The first rule whose who, hosts, logins and when all hold decides; none means no.',
    example:
      'rules: [{ name: deploy, who: [{ identities: platform }], hosts: ["web-*.example.com"], logins: [deploy], ttl: 10m }]',
  },
  tests: {
    text: 'Questions to the rules with the answers that are expected. They are asked at every load: a policy whose tests fail is not loaded. A file named *.test.yaml holds tests alone.',
    example:
      'tests: [{ name: nobody else deploys, who: { oidc: { issuer: https://idp.example.com, subject: u-9 } }, ask: { host: web-1.example.com, login: deploy }, expect: deny }]',
  },
} as const satisfies Record<string, Word>

const name: Word = {
  text: 'The name of the rule, its own in all files: in every entry of the log, and in the id of every certificate. Lower-case letters, digits and hyphens.',
  example: 'name: deploy-to-db',
}
const hosts: Word = {
  text: 'The hosts, as patterns, labels or groups; any of them. In a pattern `*` is any run of characters and `?` any one; in a rule that allows neither takes a dot, unless `*` is the whole pattern.',
  example: 'hosts: ["web-*.example.com", { label: env=ci }]',
}
const when: Word = {
  text: 'The times at which the rule speaks; at others it is passed over. A certificate never lasts past the end of the time it was given in.',
  example: 'when: { days: [mon, tue, wed, thu, fri], between: "08:00-18:00", zone: Europe/Berlin }',
}

export const allowRule = {
  name,
  who: {
    text: 'Whom the rule names: any of these entries. Within one entry everything must hold.',
    example: 'who: [{ identities: platform }, { github: { id: "583231", login: maya } }]',
  },
  hosts,
  logins: {
    text: 'The logins on the host, each by its name, root too: there are no patterns. `{ claim: unix_name }` is the login that the person’s own token says, exactly.',
    example: 'logins: [deploy, { claim: unix_name }]',
  },
  when,
  require: {
    text: 'What the deciding rule asks for before it allows. What is missing is refused by name, and no later rule is tried.',
    example: 'require: { mfa: 15m, reason: { minLength: 10 } }',
  },
  commands: {
    text: 'Commands by name: the ask must name one, and the certificate then runs this command alone, whatever the client sends.',
    example: 'commands: { setup: /usr/local/sbin/runner-setup }',
  },
  ttl: {
    text: 'How long a certificate lasts where nobody asks for less or more; also the most, where there is no maxTtl.',
    example: 'ttl: 10m',
  },
  maxTtl: {
    text: 'The most one may ask for. More is refused, not shortened. Never above ca.maxTtl of the configuration.',
    example: 'maxTtl: 30m',
  },
  outliveToken: {
    text: 'Whether the certificate may last longer than the token it was asked for with; else it ends with it, and says so. For the minute-long tokens of jobs.',
    example: 'outliveToken: true',
  },
  extensions: {
    text: 'OpenSSH’s extensions, none unless listed; or a vendor’s, with a value, in which `{login}` is the login.',
    example: 'extensions: [permit-pty, { login@github.com: "{login}" }]',
  },
  sourceAddresses: {
    text: 'The networks the certificate may be used from, at most 64; or `caller`, for the address that asked.',
    example: 'sourceAddresses: [10.2.0.0/16]',
  },
  principals: {
    text: 'What the certificate names, at most 32; `{login}@{host}` where it is left out, which opens that one host. Anything that does not name the host opens every host that trusts the CA, and needs fleetWide.',
    example: 'principals: ["{login}@{host}", "app:{login}@{host}"]',
  },
  fleetWide: {
    text: 'Says that a principal is meant to open every host that trusts the CA.',
    example: 'fleetWide: true',
  },
  maxPerHour: {
    text: 'How many certificates the rule may issue in any hour, to everybody together: from 1 to 1000.',
    example: 'maxPerHour: 5',
  },
  alert: {
    text: 'Whether somebody should hear of every use at once: a loud entry in the log, and a metric.',
    example: 'alert: true',
  },
} as const satisfies Words<AllowShape>

export const denyRule = {
  name,
  deny: {
    text: 'Makes it a rule that denies. The sentence is what the caller reads.',
    example: 'deny: root logins need daylight',
  },
  who: {
    text: 'Whom the rule names; `everyone` is everybody.',
    example: 'who: [everyone]',
  },
  except: {
    text: 'Whom it spares, though who names them.',
    example: 'except: [{ identities: oncall }]',
  },
  hosts: {
    text: 'The hosts, as in a rule that allows; but here `*` and `?` take dots as well.',
    example: 'hosts: ["*.example.com"]',
  },
  logins: {
    text: 'The logins, as names or patterns.',
    example: 'logins: [root, "adm*"]',
  },
  when: {
    text: 'The times at which the rule speaks; at others it is passed over. A certificate given before such a time begins lasts into it, for its ttl: only the times of a rule that allows cut one short.',
    example: 'when: { between: "18:00-08:00", zone: Europe/Berlin }',
  },
} as const satisfies Words<DenyShape>

export const require = {
  mfa: {
    text: 'A second factor: true, or how long ago the login with it may lie. Only what an OIDC issuer says counts, by the `mfa` of its configuration; GitHub never tells.',
    example: 'mfa: 15m',
  },
  reason: {
    text: 'A reason, written with the ask.',
    example: 'reason: { minLength: 10 }',
  },
  callerAddresses: {
    text: 'The networks the request must come from, behind trusted proxies too.',
    example: 'callerAddresses: [198.51.100.0/24]',
  },
  tokenMaxAge: {
    text: 'How long ago the token may have been issued.',
    example: 'tokenMaxAge: 10m',
  },
  proof: {
    text: 'The caller signs the ask with the key to be certified: who steals a token alone gets nothing.',
    example: 'proof: true',
  },
} as const satisfies Words<RequireShape>

export const reason = {
  minLength: {
    text: 'At least so many characters, from 1 to 512.',
    example: 'minLength: 10',
  },
  ticket: {
    text: 'The shape of a ticket that must stand in it, in which a 9 is any digit; or several shapes.',
    example: 'ticket: [OPS-9999, INC-99999]',
  },
} as const satisfies Words<ReasonShape>

export const whenWords = {
  since: { text: 'The first day.', example: 'since: 2026-11-01' },
  through: { text: 'The last day, which counts.', example: 'through: 2026-11-30' },
  days: { text: 'Days of the week.', example: 'days: [mon, tue, wed, thu, fri]' },
  between: {
    text: 'Times of the day by the clocks on the wall, the end not with it. Past midnight where the end is the earlier: it then belongs to the day it starts on.',
    example: 'between: "18:00-08:00"',
  },
  zone: { text: 'An IANA time zone, or UTC.', example: 'zone: Europe/Berlin' },
} as const satisfies Words<When>
