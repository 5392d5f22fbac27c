import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { useDirectories } from '../fakes/directory.ts'
import { runCli, writeFiles } from './run.ts'

export const createDirectory = useDirectories()

const formatPolicy = (issuer: string) => `rules:
  - name: deploy
    who: [{ oidc: { issuer: "${issuer}", groups: [platform] } }]
    hosts: [web-1.example.com]
    logins: [deploy]
    ttl: 5m
`

/** A directory as init makes it, with a provider, a free port, and a policy for it. */
export const createService = async (
  issuer: string,
  more: { readonly ca?: string; readonly rest?: string } = {},
) => {
  const cwd = createDirectory()
  await runCli(['init'], { cwd })
  rmSync(join(cwd, 'policies/first.yaml'))
  return writeFiles(cwd, {
    'policies/web.yaml': formatPolicy(issuer),
    'postern.yaml': `listen: 127.0.0.1:0
ca: { userKey: user_ca${more.ca ?? ''} }
identity: { oidc: [{ issuer: "${issuer}", audience: postern }]${more.rest ?? ''} }
`,
  })
}
