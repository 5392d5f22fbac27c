import { z } from 'zod'
import { chooseShape, strictShape } from '../lib/shape.ts'
import { duration } from './values.ts'
import { app, email, exact, githubLogin, id, issuer, org, server, team } from './who-words.ts'

// How the policy's own tests, and the command line, write who asks (DESIGN.md section 5).

const testOrg = strictShape({ org: org.optional(), orgId: id.optional() }, 'test org').refine(
  (entry) => entry.org !== undefined || entry.orgId !== undefined,
  { error: 'names no organisation: write its org or its orgId' },
)
const orgName = org.transform((name) => ({ org: name }))
const testTeam = strictShape(
  { team: team.optional(), teamId: id.optional(), orgId: id.optional() },
  'test team',
).refine((entry) => entry.team !== undefined || (entry.teamId && entry.orgId) !== undefined, {
  error: 'names no team: write its team, or its teamId and orgId',
})
const teamName = team.transform((name) => ({ team: name }))

const testGithub = strictShape(
  {
    id: id.optional(),
    login: githubLogin.optional(),
    orgs: z
      .array(
        chooseShape<{ org?: string | undefined; orgId?: string | undefined }>(
          (value) => (typeof value === 'string' ? orgName : testOrg),
          { forms: () => [orgName, testOrg] },
        ),
      )
      .optional(),
    teams: z
      .array(
        chooseShape<{
          team?: string | undefined
          teamId?: string | undefined
          orgId?: string | undefined
        }>((value) => (typeof value === 'string' ? teamName : testTeam), {
          forms: () => [teamName, testTeam],
        }),
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
