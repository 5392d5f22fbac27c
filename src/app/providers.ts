import type { Config } from '../config.ts'
import type { LoginProvider } from '../http/index.ts'
import { findServer } from '../identity/github.ts'

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
