import { noMemberships, type Provider, tokenRefused } from './index.ts'

/** The two parts of an invitation's token: a secret of 256 bits, and the key its host is to pin. */
const form = /^([A-Za-z0-9_-]{43})\.([A-Za-z0-9+/]{8,256}={0,2})$/

/** The secret and the key in an invitation's token; undefined for any other text. */
export const parseInvitationToken = (
  text: string,
): { readonly secret: string; readonly key: string } | undefined => {
  const [, secret, key] = form.exec(text) ?? []
  return secret === undefined || key === undefined ? undefined : { secret, key }
}

/**
 * A host that has just enrolled, by the token it enrolled with: it may ask for the one certificate
 * that proves the login on it. It is a provider for that ask alone, and stands in no pool that
 * another route authenticates by.
 */
export const createEnrolmentProvider = (deps: {
  /** Our own public URL: nobody else's identities have it as their issuer. */
  readonly issuer: string
  /** The invitation by which a host has enrolled a moment ago; undefined for every other token. */
  readonly findInvitation: (token: string) => { readonly id: string } | undefined
}): Provider => {
  const { issuer, findInvitation } = deps
  return Object.freeze({
    name: 'enrolment',
    claims: (token: string) => parseInvitationToken(token) !== undefined,
    async authenticate(token: string) {
      const invitation = findInvitation(token)
      if (invitation === undefined) {
        throw tokenRefused('no host has enrolled with this token in the last minutes')
      }
      const identity = Object.freeze({
        kind: 'enrolment',
        issuer,
        subject: invitation.id,
        name: invitation.id,
        groups: [],
        claims: {},
        mfa: false,
      } as const)
      return Object.freeze({ identity, findMemberships: async () => noMemberships })
    },
    check: async () => ({ ok: true }) as const,
  })
}
