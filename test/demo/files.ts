import { quotePath, type Sshd } from '../ssh/sshd.ts'

/** What the demo writes in place of an admin. */

export const audience = 'postern-demo'

export const formatConfig =
  (issuer: string) =>
  (port: number): string =>
    `# Written by the demo.
listen: 127.0.0.1:${port}
dataDir: data
policyDir: policies
ca:
  userKey: user_ca
identity:
  oidc:
    - issuer: ${issuer}
      audience: ${audience}
      algorithms: [ES256]
      groupsClaim: groups
      nameClaim: preferred_username
`

export const formatPolicy = (given: {
  readonly issuer: string
  readonly login: string
  readonly group: string
}): string => {
  const { issuer, login, group } = given
  const who = `oidc: { issuer: "${issuer}", groups: ["${group}"] }`
  return `# Written by the demo: one team, two hosts, one login.
identities:
  platform:
    - ${who}
rules:
  - name: platform-web
    who: [{ identities: platform }]
    hosts: [web-1, web-2]
    logins: ["${login}"]
    extensions: [permit-pty]
    ttl: 5m
tests:
  - name: the team logs in to the web hosts
    who: { ${who.replace('oidc: { ', 'oidc: { subject: u-1, ')} }
    ask: { host: web-1, login: "${login}" }
    expect: { allow: platform-web, ttl: 5m, principals: ["${login}@web-1"] }
  - name: whoever is in no group does not
    who: { oidc: { issuer: "${issuer}", subject: u-2 } }
    ask: { host: web-1, login: "${login}" }
    expect: deny
`
}

/** ssh's side: where the hosts are, and that nothing but the key named by `-i` counts. */
export const formatSshConfig = (
  hosts: readonly Sshd[],
  login: string,
  knownHosts: string,
): string =>
  `# Written by the demo. A certificate in KEY-cert.pub is found by "ssh -i KEY".
${hosts
  .map(({ name, port }) => `Host ${name}\n  Port ${port}\n  HostKeyAlias ${name}\n`)
  .join('')}Host *
  HostName 127.0.0.1
  User ${login}
  BatchMode yes
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  StrictHostKeyChecking yes
  UserKnownHostsFile ${quotePath(knownHosts)}
  GlobalKnownHostsFile none
`
