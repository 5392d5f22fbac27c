import { z } from 'zod'
import { isHostName } from '../lib/names.ts'
import { checkedText, chooseShape, filledList, shapeForms, strictShape } from '../lib/shape.ts'
import { duration } from './values.ts'

// How a file names people (DESIGN.md section 5, `who`). Everything is compared whole and exactly: there
// are no patterns here.

/** Longer than any number GitHub counts to, shorter than what a signed 64-bit reader could not hold. */
const digits = /^[1-9][0-9]{0,17}$/

/** A GitHub id is text: YAML would round a long number (ATTACKS 149). */
const id = chooseShape<string>((value) => {
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

const org = matching(isOrg, "must be an organisation's login, as acme")
const team = matching(
  isTeam,
  'must be ORG/SLUG as in the URL of the team, as acme/platform; not its display name',
)
const app = matching(/^[A-Za-z0-9._-]{1,64}$/, 'must be the client id of an OAuth app')
const server = matching(
  /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?$/,
  'must be the host name of a GitHub server, as ghe.example.com',
)
const githubLogin = matching(isGithubLogin, "must be a GitHub user's login")

const exact = checkedText((text) => (text === '' ? 'is empty, which names nobody' : undefined))

/** Issuers that speak for everybody's tenant at once: `sub` alone is then anyone's to choose. */
const sharedTenants = /^\/(?:common|organizations|consumers)(?:\/|$)/
const microsoft = /^(?:login\.microsoftonline\.com|sts\.windows\.net)$/

const issuer = checkedText((text) => {
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

const email = checkedText((text) =>
  /^[^\s@*?",;<>()[\]\\]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/.test(text)
    ? undefined
    : 'must be one whole address; for all of a domain write emailDomain',
)

const emailDomain = checkedText((text) =>
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
const actorClaims = new Set(['actor', 'actor_id', 'triggering_actor'])

const claims = chooseShape(() =>
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

const isActions = (issuerUrl: string): boolean =>
  /^https:\/\/token\.actions\.githubusercontent\.com(?:\/|$)|\/_services\/token$/.test(issuerUrl)

/** `isDeny`: in a deny rule's `who` a client alone is enough, since it can only take away. */
const githubEntry = (isDeny: boolean) =>
  strictShape(
    {
      id: id.optional(),
      login: githubLogin.optional(),
      org: org.optional(),
      orgId: id.optional(),
      team: team.optional(),
      teamId: id.optional(),
      app: app.optional(),
      server: server.optional(),
    },
    'github',
  ).superRefine((entry, context) => {
    const report = (message: string) => context.addIssue({ code: 'custom', message })
    if (entry.login !== undefined && entry.id === undefined) {
      report('a login can be given up and taken by another: write the id of the user beside it')
    }
    if (entry.orgId !== undefined && entry.org === undefined && entry.team === undefined) {
      report('orgId needs the org or the team it belongs to')
    }
    if (entry.teamId !== undefined && entry.team === undefined) {
      report('teamId needs the team it belongs to')
    }
    const names = [entry.id, entry.login, entry.org, entry.team, isDeny ? entry.app : undefined]
    if (names.every((name) => name === undefined)) {
      report(
        'names nobody: write an id, an org or a team; a server or an app alone is everyone there',
      )
    }
  })

const oidcEntry = (isDeny: boolean) =>
  strictShape(
    {
      issuer,
      subject: exact.optional(),
      email: email.optional(),
      emailDomain: emailDomain.optional(),
      groups: filledList(exact).optional(),
      claims: claims.optional(),
      client: exact.optional(),
    },
    'oidc',
  ).superRefine((entry, context) => {
    const report = (message: string, path: string[] = []) =>
      context.addIssue({ code: 'custom', message, path })
    const { subject, email: address, emailDomain: domain, groups, claims: map } = entry
    const names = [subject, address, domain, groups, map, isDeny ? entry.client : undefined]
    if (names.every((name) => name === undefined)) {
      report('an issuer is everyone it knows: add a subject, email, groups or claims')
    }
    for (const key of ['email', 'emailDomain'] as const) {
      if (entry[key] === undefined || !microsoft.test(new URL(entry.issuer).hostname)) continue
      report('is no identity at Microsoft, where a tenant may set any: use the claim oid', [key])
    }
    for (const name of Object.keys(map ?? {})) {
      if (actorClaims.has(name) && isActions(entry.issuer)) {
        report(`${name} is whoever set the run off: name repository_id and ref or environment`, [
          'claims',
          name,
        ])
      }
    }
  })

export type GithubShape = z.output<ReturnType<typeof githubEntry>>
export type OidcShape = z.output<ReturnType<typeof oidcEntry>>

/** One alternative of a `who`. */
export type WhoShape =
  | 'everyone'
  | { readonly identities: string }
  | { readonly github: GithubShape }
  | { readonly oidc: OidcShape }

const isOnlyKey = (value: object, key: string): boolean =>
  Object.keys(value).length === 1 && Object.hasOwn(value, key)

const refused = (error: string) => z.custom<WhoShape>(() => false, { error })

const createEntry = (more: { readonly isDeny: boolean; readonly isNamed: boolean }) => {
  const github = strictShape({ github: githubEntry(more.isDeny) }, 'who entry')
  const oidc = strictShape({ oidc: oidcEntry(more.isDeny) }, 'who entry')
  const identities = strictShape({ identities: exact }, 'who entry')
  const everyone = z.literal('everyone')
  const forms = 'must be { identities: NAME }, { github: … } or { oidc: … }'
  return chooseShape<WhoShape>(
    (value) => {
      if (value === 'everyone') {
        return more.isDeny ? everyone : refused('everyone stands only in the who of a deny rule')
      }
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return refused(forms)
      if (isOnlyKey(value, 'github')) return github
      if (isOnlyKey(value, 'oidc')) return oidc
      if (!isOnlyKey(value, 'identities')) return refused(`${forms}, one to an entry`)
      return more.isNamed ? refused('identities name people, not other identities') : identities
    },
    {
      forms: () => [
        ...(more.isDeny ? [everyone] : []),
        ...(more.isNamed ? [] : [identities]),
        github,
        oidc,
      ],
    },
  )
}

/** An entry of an allow rule's `who`, or of `except`. */
export const allowWho = createEntry({ isDeny: false, isNamed: false })
/** An entry of a deny rule's `who`. */
export const denyWho = createEntry({ isDeny: true, isNamed: false })
/** What stands under a name in `identities`. */
const namedWho = filledList(createEntry({ isDeny: false, isNamed: true }))
export const identitySet = chooseShape(() => namedWho)

const testOrg = strictShape({ org, orgId: id.optional() }, 'test org')
const orgName = org.transform((name) => ({ org: name }))
const testTeam = strictShape({ team, teamId: id.optional(), orgId: id.optional() }, 'test team')
const teamName = team.transform((name) => ({ team: name }))

const testGithub = strictShape(
  {
    id: id.optional(),
    login: githubLogin.optional(),
    orgs: z
      .array(
        chooseShape<{ org: string; orgId?: string | undefined }>(
          (value) => (typeof value === 'string' ? orgName : testOrg),
          { forms: () => [orgName, testOrg] },
        ),
      )
      .optional(),
    teams: z
      .array(
        chooseShape<{ team: string; teamId?: string | undefined; orgId?: string | undefined }>(
          (value) => (typeof value === 'string' ? teamName : testTeam),
          { forms: () => [teamName, testTeam] },
        ),
      )
      .optional(),
    app: app.optional(),
    server: server.optional(),
  },
  'test github',
)

const testOidc = strictShape(
  {
    issuer,
    subject: exact.optional(),
    email: email.optional(),
    groups: z.array(z.string()).optional(),
    claims: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
      .optional(),
    client: exact.optional(),
    /** Whether there was a second factor; or how long ago, where its age counts. */
    mfa: chooseShape<boolean | number>(
      (value) => (typeof value === 'string' ? duration : z.boolean()),
      { forms: () => [z.boolean(), duration] },
    ).optional(),
    /** How old the token is; new where it is left out. */
    tokenAge: duration.optional(),
  },
  'test oidc',
)

export type TestWhoShape =
  | { readonly github: z.output<typeof testGithub> }
  | { readonly oidc: z.output<typeof testOidc> }

const byGithub = strictShape({ github: testGithub }, 'test who')
const byOidc = strictShape({ oidc: testOidc }, 'test who')

/** Who asks in a test: one person, in the words of a `who` entry. */
export const testWho = chooseShape<TestWhoShape>(
  (value) =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, 'github')
      ? byGithub
      : byOidc,
  { forms: () => [byGithub, byOidc] },
)
