import { z } from 'zod'
import { chooseShape, filledList, strictShape } from '../lib/shape.ts'
import {
  actorClaims,
  app,
  claims,
  email,
  emailDomain,
  exact,
  githubLogin,
  id,
  issuer,
  microsoft,
  org,
  server,
  team,
} from './who-words.ts'

// How a file names people (DESIGN.md section 5, `who`): which words stand together in an entry.

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
    if (entry.teamId !== undefined && entry.team === undefined && entry.orgId === undefined) {
      report("teamId needs the team's name beside it, or the orgId of its organisation")
    }
    const { id: user, login, org: name, orgId, team: slug } = entry
    const names = [user, login, name, orgId, slug, isDeny ? entry.app : undefined]
    if (names.every((one) => one === undefined)) {
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
