import { type Config, readSecret } from '../config.ts'
import { AppError } from '../errors.ts'
import type { LoginProvider } from '../http/index.ts'
import { createGithubProvider, findServer } from '../identity/github.ts'
import type { Provider } from '../identity/index.ts'
import { createOidcProvider } from '../identity/oidc.ts'
import type { Clock } from '../lib/clock.ts'

/** What everybody may know of the providers, to log in with them. No secret is in it. */
export const listLoginProviders = ({ identity }: Config): readonly LoginProvider[] => [
  ...identity.oidc.map(({ issuer, login }) => ({
    kind: 'oidc' as const,
    issuer,
    flows: login?.flows ?? [],
    ...(login === undefined ? {} : { clientId: login.clientId, scopes: login.scopes }),
  })),
  ...identity.github.map(({ apiUrl, clientId, type }) => ({
    kind: 'github' as const,
    issuer: findServer(apiUrl),
    // GitHub lets an app switch the flow on, and has no other that needs no secret.
    flows: ['device' as const],
    clientId,
    type,
    ...(type === 'oauth-app' ? { scopes: ['read:org'] } : {}),
  })),
]

/** Whoever the configuration lets say who somebody is. Code: `invalid_config` where that is nobody. */
export const openProviders = async (
  config: Config,
  clock: Clock,
  send: (url: string, init?: RequestInit) => Promise<Response>,
): Promise<readonly Provider[]> => {
  const { github, oidc } = config.identity
  if (github.length + oidc.length === 0) {
    throw new AppError('invalid_config', 'No identity provider is configured: nobody could ask.', {
      hint: `add one under identity in ${config.file}; "postern init" writes an example of each`,
    })
  }
  const providers: Provider[] = oidc.map((issuer) =>
    createOidcProvider({ ...issuer, fetch: send, clock }),
  )
  for (const [apiUrl, group] of Map.groupBy(github, (app) => app.apiUrl)) {
    const apps = await Promise.all(
      group.map(async ({ clientId, clientSecretFile, type }) => ({
        clientId,
        type,
        clientSecret: await readSecret(clientSecretFile),
      })),
    )
    providers.push(createGithubProvider({ apiUrl, apps, fetch: send, clock }))
  }
  return providers
}
