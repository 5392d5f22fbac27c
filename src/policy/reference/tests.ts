import type { TestShape } from '../test-schema.ts'
import type { Word, Words } from './word.ts'

export const test = {
  name: {
    text: 'What the test shows, in a sentence.',
    example: 'name: the platform team deploys',
  },
  at: {
    text: 'When it is asked; needed where a rule with a when could answer. Tests never read the clock.',
    example: 'at: 2026-11-24T10:00:00Z',
  },
  who: {
    text: 'Who asks: one person, in the words of a who entry. What is left out is empty.',
    example: 'who: { oidc: { issuer: https://idp.example.com, subject: u-1, groups: [platform] } }',
  },
  from: { text: 'The caller’s address.', example: 'from: 198.51.100.7' },
  ask: { text: 'What is asked for.', example: 'ask: { host: web-1.example.com, login: deploy }' },
  expect: {
    text: 'The answer: `deny`, who denies it and why, or who allows it and what is given.',
    example: 'expect: { allow: deploy-to-web, ttl: 10m }',
  },
} as const satisfies Words<TestShape>

export const testWho = {
  github: {
    text: 'A GitHub user, with their teams and organisations.',
    example: 'github: { id: "583231", login: maya, teams: [acme/platform] }',
  },
  oidc: {
    text: 'A person or program as an OIDC issuer’s token has it.',
    example: 'oidc: { issuer: https://idp.example.com, subject: u-1, mfa: true }',
  },
} as const satisfies Record<string, Word>

export const testGithub = {
  id: { text: 'The user’s numeric id.', example: 'id: "583231"' },
  login: { text: 'The user’s login.', example: 'login: maya' },
  orgs: {
    text: 'The organisations the user is in, with their ids where rules are pinned to them.',
    example: 'orgs: [acme, { org: other, orgId: "9" }]',
  },
  teams: {
    text: 'The teams the user is in, and so their organisations; with ids where rules are pinned to them.',
    example: 'teams: [acme/dev, { team: acme/platform, teamId: "4711", orgId: "815" }]',
  },
  app: { text: 'The app the token is of.', example: 'app: Iv1.0123456789abcdef' },
  server: { text: 'The GitHub server.', example: 'server: ghe.example.com' },
} as const satisfies Record<string, Word>

export const testOrg = {
  org: { text: 'The organisation’s login.', example: 'org: acme' },
  orgId: { text: 'Its id.', example: 'orgId: "815"' },
} as const satisfies Record<string, Word>

export const testTeam = {
  team: { text: 'The team, as ORG/SLUG.', example: 'team: acme/platform' },
  teamId: { text: 'Its id.', example: 'teamId: "4711"' },
  orgId: { text: 'The id of its organisation.', example: 'orgId: "815"' },
} as const satisfies Record<string, Word>

export const testOidc = {
  issuer: { text: 'The issuer.', example: 'issuer: https://idp.example.com' },
  subject: { text: 'The subject.', example: 'subject: u-1' },
  email: { text: 'A verified address.', example: 'email: maya@vendor.example' },
  groups: { text: 'The groups.', example: 'groups: [platform]' },
  claims: { text: 'Other claims.', example: 'claims: { ref: refs/heads/main }' },
  client: { text: 'The client the token is for.', example: 'client: deploy-console' },
  mfa: {
    text: 'Whether there was a second factor; or how long ago, where that counts.',
    example: 'mfa: 5m',
  },
  tokenAge: { text: 'How old the token is; new where left out.', example: 'tokenAge: 5m' },
} as const satisfies Record<string, Word>

export const ask = {
  host: { text: 'The host.', example: 'host: web-1.example.com' },
  login: { text: 'The login.', example: 'login: deploy' },
  ttl: { text: 'For how long.', example: 'ttl: 5m' },
  command: { text: 'The name of one of the rule’s commands.', example: 'command: setup' },
  reason: { text: 'The reason.', example: 'reason: restore the shop' },
  proof: { text: 'As if it came with a good proof of possession.', example: 'proof: true' },
} as const satisfies Words<TestShape['ask']>

export const expectedAllow = {
  allow: { text: 'The rule that allows it.', example: 'allow: deploy-to-web' },
  ttl: { text: 'How long the certificate lasts.', example: 'ttl: 10m' },
  principals: {
    text: 'Its principals, all of them.',
    example: 'principals: [deploy@web-1.example.com]',
  },
  extensions: { text: 'Its extensions, all of them.', example: 'extensions: [permit-pty]' },
  command: {
    text: 'The command it is bound to.',
    example: 'command: /usr/local/sbin/runner-setup',
  },
  sourceAddresses: {
    text: 'The networks it is bound to.',
    example: 'sourceAddresses: [10.2.0.0/16]',
  },
  outliveToken: {
    text: 'Whether it may last longer than the token.',
    example: 'outliveToken: false',
  },
} as const satisfies Record<string, Word>

export const expectedDeny = {
  deny: {
    text: 'The rule that denies it, or whose requirement is missed; or the code of the refusal.',
    example: 'deny: policy_denied',
  },
  code: { text: 'The code, beside the rule.', example: 'code: mfa_required' },
} as const satisfies Record<string, Word>
