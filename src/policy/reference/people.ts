import type { KnownHostShape, RolesShape } from '../schema.ts'
import type { GithubShape, OidcShape } from '../who-schema.ts'
import type { Word, Words } from './word.ts'

export const whoEntry = {
  identities: {
    text: 'Everybody that a name under identities stands for.',
    example: 'identities: platform',
  },
  github: {
    text: 'People by GitHub: a user, an organisation, a team.',
    example: 'github: { team: acme/platform, teamId: "4711", orgId: "815" }',
  },
  oidc: {
    text: 'People or programs by an OIDC issuer, and something that its tokens say of them.',
    example: 'oidc: { issuer: https://idp.example.com, groups: [platform] }',
  },
} as const satisfies Record<string, Word>

export const github = {
  id: {
    text: 'The user’s numeric id, in quotes. It stays when the login changes hands.',
    example: 'id: "583231"',
  },
  login: {
    text: 'The user’s login, for the reader; the id beside it is what counts. `postern policy pin` writes it.',
    example: 'login: maya',
  },
  org: {
    text: 'Members of an organisation. An invitation not yet accepted is no membership.',
    example: 'org: acme',
  },
  orgId: {
    text: 'The id of the organisation: beside its name, so that nobody can take that (`postern policy pin` writes it); or alone, whatever it is called.',
    example: 'orgId: "815"',
  },
  team: {
    text: 'Members of a team, as ORG/SLUG.',
    example: 'team: acme/platform',
  },
  teamId: {
    text: 'The id of the team: beside its name (`postern policy pin` writes it); or with the orgId alone, as `{ teamId: "4711", orgId: "815" }`, whatever the two are called.',
    example: 'teamId: "4711"',
  },
  app: {
    text: 'Only through this OAuth app or GitHub App, by its client id.',
    example: 'app: Iv1.0123456789abcdef',
  },
  server: {
    text: 'The GitHub server; github.com where it is left out.',
    example: 'server: ghe.example.com',
  },
} as const satisfies Words<GithubShape>

export const oidc = {
  issuer: {
    text: 'The issuer, character by character as in its tokens. Alone it is everyone it knows, so it never stands alone.',
    example: 'issuer: https://idp.example.com',
  },
  subject: {
    text: 'The subject of the token: one person or program.',
    example: 'subject: u-1001',
  },
  email: {
    text: 'One whole address, where the issuer has verified it.',
    example: 'email: maya@vendor.example',
  },
  emailDomain: {
    text: 'Every verified address of a domain, without its subdomains.',
    example: 'emailDomain: vendor.example',
  },
  groups: {
    text: 'Members of any of these groups.',
    example: 'groups: [platform, sre]',
  },
  claims: {
    text: 'Claims of the token: each one named must be one of its values, exactly and with its type.',
    example: 'claims: { repository_id: "123456", event_name: [push, workflow_dispatch] }',
  },
  client: {
    text: 'Only tokens for this client (`azp` or `client_id`).',
    example: 'client: deploy-console',
  },
} as const satisfies Words<OidcShape>

export const hostEntry = {
  label: {
    text: 'The known hosts with this label.',
    example: 'label: env=ci',
  },
  hostGroup: {
    text: 'The hosts that a name under hostGroups stands for.',
    example: 'hostGroup: front',
  },
} as const satisfies Record<string, Word>

export const loginEntry = {
  claim: {
    text: 'The login is what this claim of the person’s token says, exactly. Take one that people cannot set for themselves.',
    example: 'claim: unix_name',
  },
} as const satisfies Record<string, Word>

export const knownHost = {
  name: { text: 'The host’s name.', example: 'name: web-1.example.com' },
  aliases: {
    text: 'Other names it is asked for by; rules name it by its name, and the certificate is always for that.',
    example: 'aliases: [web-1, shop.example.com]',
  },
  address: {
    text: 'Where it is reached, where that is not its name: an IP address or a name.',
    example: 'address: 10.2.0.17',
  },
  port: { text: 'The port of its sshd; 22 where it is left out.', example: 'port: 2222' },
  logins: {
    text: 'The logins that certificates open on it: for each, its trust bundle has a principals file.',
    example: 'logins: [deploy, root]',
  },
  hostKeys: {
    text: 'Its public host keys, as its /etc/ssh/ssh_host_*_key.pub have them; clients are told to accept these alone.',
    example:
      'hostKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKYMmX4zUEBJDmhxEXUGRXOBTJbFFGEm9jNwOkV2hFnx"]',
  },
  labels: { text: 'Labels, by which rules find it.', example: 'labels: { env: prod, tier: web }' },
} as const satisfies Words<KnownHostShape>

export const roles = {
  admin: {
    text: 'Who may freeze and unfreeze the service, revoke, read the log, and read the policy.',
    example: 'admin: [{ identities: platform }]',
  },
  auditor: {
    text: 'Who may read the log and the policy.',
    example: 'auditor: [{ oidc: { issuer: https://idp.example.com, groups: [audit] } }]',
  },
} as const satisfies Words<RolesShape>
