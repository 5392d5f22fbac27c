import { z } from 'zod'
import { isHostName } from '../lib/names.ts'
import { checkedText, chooseShape, filledList, shapeForms } from '../lib/shape.ts'

// The single words of a `who` (DESIGN.md section 5). Everything is compared whole and exactly: there are
// no patterns here.

/** Longer than any number GitHub counts to, shorter than what a signed 64-bit reader could not hold. */
const digits = /^[1-9][0-9]{0,17}$/

/** A GitHub id is text: YAML would round a long number (ATTACKS 149). */
export const id = chooseShape<string>((value) => {
  const hint =
    typeof value !== 'number'
      ? 'must be a number in quotes, as "583231"'
      : Number.isSafeInteger(value) && value > 0
        ? `must stand in quotes: "${value}"`
        : 'must stand in quotes, with every digit: YAML rounds a number this long'
  return z.string({ error: hint }).regex(digits, { error: hint })
})

const githubName = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?'
const isOrg = new RegExp(`^${githubName}$`)
const isTeam = new RegExp(`^${githubName}/[a-z0-9][a-z0-9._-]{0,99}$`)
const isGithubLogin = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\[bot\])?$/

const matching = (pattern: RegExp, message: string) =>
  checkedText((text) => (pattern.test(text) ? undefined : message))

export const org = matching(isOrg, "must be an organisation's login, as acme")
export const team = matching(
  isTeam,
  'must be ORG/SLUG as in the URL of the team, as acme/platform; not its display name',
)
export const app = matching(/^[A-Za-z0-9._-]{1,64}$/, 'must be the client id of an OAuth app')
export const server = matching(
  /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?$/,
  'must be the host name of a GitHub server, as ghe.example.com',
)
export const githubLogin = matching(isGithubLogin, "must be a GitHub user's login")

export const exact = checkedText((text) =>
  text === '' ? 'is empty, which names nobody' : undefined,
)

/** Issuers that speak for everybody's tenant at once: `sub` alone is then anyone's to choose. */
const sharedTenants = /^\/(?:common|organizations|consumers)(?:\/|$)/
export const microsoft = /^(?:login\.microsoftonline\.com|sts\.windows\.net)$/

export const issuer = checkedText((text) => {
  if (!URL.canParse(text))
    return 'must be an issuer exactly as in its tokens, as https://idp.example.com'
  const url = new URL(text)
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    return 'must be an https URL'
  }
  if (url.username !== '' || url.password !== '' || /[?#\s]/.test(text)) {
    return 'must be a plain URL, without a user, query or fragment'
  }
  if (microsoft.test(url.hostname) && sharedTenants.test(url.pathname)) {
    return "names every tenant at once: write the issuer with your tenant's id"
  }
  return undefined
})

/** As identity/oidc/claims.ts takes addresses: another would name nobody, and a rule that denies it would deny nobody. */
export const email = checkedText((text) => {
  const [, domain] = /^[A-Za-z0-9.!#$%&'+/=^_`{|}~-]{1,64}@([A-Za-z0-9.-]+)$/.exec(text) ?? []
  if (domain === undefined || !isHostName(domain.toLowerCase())) {
    return 'must be one whole address; for all of a domain write emailDomain'
  }
  const lower = domain.toLowerCase()
  return domain === lower ? undefined : `must have its domain in lower case: "${lower}"`
})

export const emailDomain = checkedText((text) =>
  isHostName(text) && text.includes('.')
    ? undefined
    : 'must be a domain in lower case, as example.com, without "@" or "*"; its subdomains are others',
)

const scalar = z.custom<string | number | boolean>(
  (value) =>
    typeof value === 'boolean' ||
    Number.isSafeInteger(value) ||
    (typeof value === 'string' && value !== ''),
  { error: 'must be text, a whole number, true or false, or a list of them' },
)

const scalars = filledList(scalar)

shapeForms.add(scalar, { list: () => [z.string(), z.int(), z.boolean()] })

/** Claims that have a key of their own, or that every token of the issuer carries alike. */
const reservedClaims: Readonly<Record<string, string>> = {
  iss: 'write issuer',
  sub: 'write subject',
  email: 'write email, which holds only where the issuer has verified it',
  email_verified: 'write email, which holds only where the issuer has verified it',
  azp: 'write client',
  client_id: 'write client',
  aud: 'every accepted token has it',
  exp: 'it is checked for every token',
  nbf: 'it is checked for every token',
  iat: 'it is checked for every token',
  jti: 'it names a token, not a person',
  nonce: 'it names a login, not a person',
}

/** Who set a run off says nothing of what the run may do (ATTACKS 134). */
export const actorClaims = new Set(['actor', 'actor_id', 'triggering_actor'])

export const claims = chooseShape(() =>
  z.record(
    z.string(),
    chooseShape((value) => (Array.isArray(value) ? scalars : scalar.transform((one) => [one])), {
      forms: () => [scalar, scalars],
    }),
  ),
).superRefine((map, context) => {
  if (Object.keys(map).length === 0) {
    context.addIssue({ code: 'custom', message: 'is empty; name a claim or leave it out' })
  }
  for (const name of Object.keys(map)) {
    if (!Object.hasOwn(reservedClaims, name)) continue
    context.addIssue({
      code: 'custom',
      path: [name],
      message: `the claim ${name} is not matched here: ${reservedClaims[name]}`,
      params: { atKey: true },
    })
  }
})
