// Policies with one mistake each, as people make them, and what `policy check` must say of it.

/** A rule in which nothing is wrong; the mistakes are made in its place. */
const rule = (change: Readonly<Record<string, unknown>> = {}): string =>
  `  - ${JSON.stringify({
    name: 'deploy',
    who: [{ oidc: { issuer: 'https://idp.example.com', groups: ['platform'] } }],
    hosts: ['web-*.example.com'],
    logins: ['deploy'],
    ttl: '10m',
    ...change,
  })}\n`

const policy = (...changes: readonly Readonly<Record<string, unknown>>[]): string =>
  `rules:\n${changes.map(rule).join('')}`

const actions = (claims: Readonly<Record<string, unknown>>) => [
  { oidc: { issuer: 'https://token.actions.githubusercontent.com', claims } },
]

const denyRoot = { ttl: undefined, deny: 'no root here', who: ['everyone'], logins: ['root'] }
const oncall = [{ oidc: { issuer: 'https://idp.example.com', groups: ['oncall'] } }]
const gated = { require: { mfa: true, reason: { minLength: 10 } } }
const known = `hosts:
  - { name: web-1.example.com, labels: { env: prod } }
  - { name: db-1.example.com, labels: { env: prod } }
`

/** The mistake, the file, and what a line of the answer must hold. */
export const planted: readonly (readonly [string, string, RegExp])[] = [
  [
    'a narrow rule behind a wide one',
    policy(
      { hosts: ['*.example.com'] },
      { name: 'canary', hosts: ['web-1.example.com'], ttl: '2m' },
    ),
    /:3:\d+: error: the rule canary can never match: deploy \(policy\.yaml:2\) decides first, as for deploy on web-1\.example\.com;/,
  ],
  [
    'a rule behind a denial that spares nobody',
    policy(
      { ...denyRoot, name: 'no-root', hosts: ['*'] },
      { ...gated, name: 'break-glass', who: oncall, logins: ['root'] },
    ),
    /:3:\d+: error: the rule break-glass can never match: no-root \(policy\.yaml:2\) denies first, as for root on web-1/,
  ],
  [
    'a rule behind two that share its people',
    policy(
      { name: 'platform' },
      { name: 'oncall', who: oncall },
      {
        name: 'both',
        who: [...oncall, { oidc: { issuer: 'https://idp.example.com', groups: ['platform'] } }],
        ttl: '5m',
      },
    ),
    /error: the rule both can never match: platform .* and oncall .* decide first/,
  ],
  [
    'one login of two that is denied everywhere',
    policy(
      { ...denyRoot, name: 'no-root', hosts: ['*'] },
      { ...gated, logins: ['deploy', 'root'] },
    ),
    /warning: this entry of logins never counts: no-root \(policy\.yaml:2\) denies all of it first/,
  ],
  [
    'a denial that spares everybody it names',
    policy({ ...denyRoot, name: 'no-root', who: oncall, except: oncall }, {}),
    /error: the rule no-root can never match: it spares everybody it names/,
  ],
  [
    'two rules that cross',
    policy(
      { hosts: ['web-*.example.com'] },
      { name: 'first-hosts', hosts: ['*-1.example.com'], ttl: '1h' },
    ),
    /warning: the rules first-hosts and deploy \(policy\.yaml:2\) overlap: .* as deploy on web-1\.example\.com, where the earlier, deploy, decides/,
  ],
  [
    'a certificate for the whole fleet',
    policy({ principals: ['{login}'], fleetWide: true }),
    /warning: .*can open every host that trusts the CA/,
  ],
  [
    'the whole fleet without saying so',
    policy({ principals: ['{login}'] }),
    /error: .*fleetWide: true/,
  ],
  [
    'a star that was to take a dot',
    known + policy({ hosts: ['web-*'] }),
    /warning: web-\* matches no host of the list "hosts", not even web-1\.example\.com; "\*" takes no dot: write web-\*\.example\.com/,
  ],
  [
    'a star that was to take a dot, with no list of hosts',
    policy({ hosts: ['web-*'] }, { name: 'db', hosts: ['web-7.example.com'], logins: ['dba'] }),
    /warning: web-\* does not match web-7\.example\.com: "\*" takes no dot; write web-\*\.example\.com/,
  ],
  [
    'a host that is not in the list',
    known + policy({ hosts: ['wbe-1.example.com'] }),
    /warning: wbe-1\.example\.com matches no host of the list "hosts"; did you mean web-1\.example\.com\?/,
  ],
  [
    'a label that no host has',
    known + policy({ hosts: [{ label: 'env=production' }] }),
    /error: the rule deploy can never match: no known host has what its hosts ask for/,
  ],
  [
    'a domain with two letters swapped',
    policy(
      {},
      { name: 'db', hosts: ['db-*.exmaple.com'] },
      { name: 'more', hosts: ['app-*.example.com'] },
    ),
    /:3:\d+: warning: exmaple\.com is nearly example\.com, which others name/,
  ],
  [
    'root without a second factor or a reason',
    policy({ logins: ['root'] }),
    /warning: root is given without a second factor and without a reason/,
  ],
  [
    'a second factor that GitHub never tells of',
    policy({ ...gated, who: [{ github: { id: '583231', login: 'maya' } }], logins: ['root'] }),
    /error: nobody in who can ever meet mfa: GitHub does not tell/,
  ],
  [
    'an Actions job by the name of its repository',
    policy({ who: actions({ repository: 'acme/shop', ref: 'refs/heads/main' }) }),
    /warning: repository is a name, which another can take .*; add the claim repository_id/,
  ],
  [
    'an Actions job by its subject',
    policy({
      who: [
        {
          oidc: {
            issuer: 'https://token.actions.githubusercontent.com',
            subject: 'repo:acme/shop:ref:refs/heads/main',
          },
        },
      ],
    }),
    /warning: subject is a name, which another can take .*; add the claim repository_id/,
  ],
  [
    'a GitLab job by the path of its project',
    policy({
      who: [
        {
          oidc: {
            issuer: 'https://gitlab.com',
            claims: { project_path: 'acme/shop', ref_protected: 'true' },
          },
        },
      ],
    }),
    /warning: project_path is a name, .*; add the claim project_id/,
  ],
  [
    'pull requests among the events',
    policy({
      who: actions({ repository_id: '123456', event_name: ['push', 'pull_request_target'] }),
    }),
    /warning: pull_request_target lets in runs that somebody outside can set off/,
  ],
  [
    'every branch of a repository',
    policy({ who: actions({ repository_id: '123456' }) }),
    /warning: any branch, and any pull request of the repository, is named by this/,
  ],
  [
    'a branch by its short name',
    policy({ who: actions({ repository_id: '123456', ref: 'main' }) }),
    /warning: ref is never "main" in a token of GitHub Actions.*; write it as refs\/heads\/main/,
  ],
  [
    'a repository id as a number',
    policy({ who: actions({ repository_id: 123456, ref: 'refs/heads/main' }) }),
    /warning: repository_id is never 123456 in a token of GitHub Actions.*in quotes/,
  ],
  [
    'a claim that is spelt otherwise',
    policy({
      who: actions({ repository_id: '123456', enviroment: 'production', ref: 'refs/heads/main' }),
    }),
    /warning: GitHub Actions puts no claim enviroment .*; is it environment\?/,
  ],
  [
    'an engagement that ended',
    policy({ when: { since: '2026-09-01', through: '2026-10-31', zone: 'Europe/Berlin' } }),
    /warning: deploy ended with 2026-10-31/,
  ],
  [
    'days that do not come',
    policy({
      when: { since: '2026-12-05', through: '2026-12-06', days: ['mon', 'tue'], zone: 'UTC' },
    }),
    /error: the rule deploy can never match: none of its days lies between 2026-12-05 and 2026-12-06/,
  ],
  [
    'commands, and a way around them',
    policy({
      commands: { restart: '/usr/local/sbin/restart' },
      extensions: ['permit-port-forwarding'],
    }),
    /error: extensions: permit-port-forwarding opens a way around the commands/,
  ],
  [
    'a command that runs anything',
    policy({ commands: { run: '/bin/sh -c "$SSH_ORIGINAL_COMMAND"' } }),
    /warning: the command run runs whatever it is told/,
  ],
  [
    'identities that nobody names',
    `identities:\n  oncall: ${JSON.stringify(oncall)}\n${policy({})}`,
    /:2:\d+: warning: no rule and no role names the identities oncall/,
  ],
  [
    'a team by its name alone',
    policy({ who: [{ github: { team: 'acme/platform' } }] }),
    /warning: the team acme\/platform is known by its name alone.*; postern policy pin/,
  ],
  [
    'a login by its name alone',
    policy({ who: [{ github: { login: 'maya' } }] }),
    /error: .*write the id of the user beside it/,
  ],
  [
    'a whole day',
    policy({ ttl: '10m', maxTtl: '24h' }),
    /warning: a certificate of 1d opens its host that long/,
  ],
  [
    'an allowance for the whole internet',
    policy({ require: { callerAddresses: ['0.0.0.0/0'] } }),
    /warning: 0\.0\.0\.0\/0 is every address there is/,
  ],
  [
    'everybody at a public mail provider',
    policy({ who: [{ oidc: { issuer: 'https://idp.example.com', emailDomain: 'gmail.com' } }] }),
    /warning: anybody can have an address at gmail\.com/,
  ],
  [
    'an issuer with and without its slash',
    policy(
      {},
      {
        name: 'db',
        hosts: ['db-1.example.com'],
        who: [{ oidc: { issuer: 'https://idp.example.com/', groups: ['dba'] } }],
      },
    ),
    /warning: https:\/\/idp\.example\.com\/ is another issuer than https:\/\/idp\.example\.com/,
  ],
  [
    'GitHub as if it were an OIDC issuer',
    policy({ who: [{ oidc: { issuer: 'https://github.com', subject: '583231' } }] }),
    /warning: https:\/\/github\.com issues no OIDC tokens for people/,
  ],
  [
    'an issuer alone',
    policy({ who: [{ oidc: { issuer: 'https://idp.example.com' } }] }),
    /error: .*an issuer is everyone it knows/,
  ],
  [
    'a star in what is compared whole',
    policy({ who: [{ oidc: { issuer: 'https://idp.example.com', subject: 'svc-*' } }] }),
    /warning: .*subject is compared whole: "\*" stands for itself/,
  ],
  [
    'everyone in a rule that allows',
    policy({ who: ['everyone'] }),
    /error: .*everyone stands only in the who of a deny rule/,
  ],
  [
    'a login that one may choose',
    policy({ logins: [{ claim: 'preferred_username' }] }),
    /warning: many providers let people choose their preferred_username/,
  ],
  [
    'an organisation of admins',
    `roles:\n  admin: [{ github: { org: acme, orgId: "9001" } }]\n${policy({})}`,
    /:2:\d+: warning: everybody of an organisation or a domain is an admin by this/,
  ],
  [
    'a key that is spelt otherwise',
    policy({ sourceAddress: ['10.2.0.0/16'] }),
    /error: .*unknown key "sourceAddress"; did you mean "sourceAddresses"\?/,
  ],
  [
    'identities that are nowhere defined',
    policy({ who: [{ identities: 'platfrom' }] }),
    /error: .*unknown name of identities "platfrom"/,
  ],
  ['a number for a time to live', policy({ ttl: 10 }), /error: .*is it "10s" or "10m"\?/],
  [
    'a denial of a login that is spelt otherwise',
    policy({ ...denyRoot, name: 'no-deploy', logins: ['depoly'], hosts: ['*'] }, {}),
    /warning: no rule gives the login depoly, so this denies nothing; is it deploy\?/,
  ],
]

/** Policies as people rightly write them: there is nothing to say of any. */
export const sound: Readonly<Record<string, string>> = {
  'a runner backend': `identities:
  platform:
    - github: { team: acme/platform, teamId: "70", orgId: "9001" }
    - oidc: { issuer: https://idp.example.com, groups: [platform] }
rules:
  - name: runner-setup
    who: [{ identities: platform }]
    hosts: ["runner-*.example.com"]
    logins: [runner]
    commands:
      setup: /usr/local/sbin/runner-setup
      teardown: /usr/local/sbin/runner-teardown
    ttl: 5m
    maxTtl: 15m
    sourceAddresses: [10.2.0.0/16]
tests:
  - name: the platform team sets up runners
    who: { github: { id: "583231", login: maya, teams: [{ team: acme/platform, teamId: "70", orgId: "9001" }] } }
    ask: { host: runner-17.example.com, login: runner, command: setup }
    expect: { allow: runner-setup, ttl: 5m }
`,
  'on call, with a second factor': `hosts:
  - { name: web-1.example.com, labels: { env: prod } }
  - { name: web-2.example.com, labels: { env: prod } }
  - { name: db-1.example.com, labels: { env: prod } }
identities:
  oncall: [{ oidc: { issuer: https://idp.example.com, groups: [oncall] } }]
rules:
  - name: oncall-web
    who: [{ identities: oncall }]
    hosts: ["web-*.example.com"]
    logins: [ops]
    extensions: [permit-pty]
    ttl: 10m
  - name: oncall-anywhere
    who: [{ identities: oncall }]
    hosts: [{ label: env=prod }]
    logins: [ops, root]
    require: { mfa: 15m }
    extensions: [permit-pty]
    ttl: 10m
  - name: no-root-by-night
    deny: root logins need daylight
    who: [everyone]
    except: [{ identities: oncall }]
    hosts: ["*"]
    logins: [root]
    when: { between: "18:00-08:00", zone: Europe/Berlin }
`,
  'a contractor': `rules:
  - name: acme-contractors
    who: [{ oidc: { issuer: https://login.vendor.example, email: maya@vendor.example } }]
    hosts: [web-1.example.com]
    logins: [deploy]
    when: { since: 2026-11-01, through: 2026-11-30, days: [mon, tue, wed, thu, fri], between: "08:00-18:00", zone: Europe/Berlin }
    require: { mfa: 15m, reason: { minLength: 10 }, callerAddresses: [198.51.100.0/24] }
    extensions: [permit-pty]
    ttl: 10m
  - name: staff
    who: [{ oidc: { issuer: https://idp.example.com, emailDomain: example.com } }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 10m
`,
  'an Actions deploy job': `rules:
  - name: deploy-job
    who:
      - oidc:
          issuer: https://token.actions.githubusercontent.com
          claims: { repository_id: "123456", ref: refs/heads/main, event_name: [push, workflow_dispatch] }
    hosts: ["web-*.example.com"]
    logins: [deploy]
    ttl: 10m
    outliveToken: true
  - name: release-job
    who:
      - oidc:
          issuer: https://token.actions.githubusercontent.com
          claims: { repository: acme/shop, repository_id: "123456", environment: production }
    hosts: ["db-*.example.com"]
    logins: [migrate]
    commands: { migrate: /usr/local/sbin/migrate }
    ttl: 10m
`,
  'break-glass root': `identities:
  oncall: [{ oidc: { issuer: https://idp.example.com, groups: [oncall] } }]
roles:
  admin: [{ identities: oncall }]
  auditor: [{ oidc: { issuer: https://idp.example.com, groups: [audit] } }]
rules:
  - name: break-glass
    who: [{ identities: oncall }]
    hosts: ["*"]
    logins: [root]
    require: { mfa: 15m, reason: { ticket: INC-9999 } }
    alert: true
    maxPerHour: 5
    extensions: [permit-pty]
    ttl: 10m
  - name: no-root
    deny: root is for those on call
    who: [everyone]
    except: [{ identities: oncall }]
    hosts: ["*"]
    logins: [root]
`,
}
