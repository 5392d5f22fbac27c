import type { Fetch } from '../../lib/fetch.ts'
import type { LoginCredential } from './index.ts'

/** A login's next credential, by its refresh token. Code: `login_failed`. */
export const renew = async (
  credential: LoginCredential,
  { fetch }: { readonly fetch: Fetch },
): Promise<LoginCredential> => {
  if (credential.grantor.kind === 'github') {
    const { renewByGithub } = await import('./github.ts')
    return renewByGithub(credential, fetch)
  }
  const { renewByOidc } = await import('./oidc.ts')
  return renewByOidc(credential, fetch)
}
