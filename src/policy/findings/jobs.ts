import { findNearest } from '../../lib/nearest.ts'
import { type Check, type Doubt, ofOidc } from './check.ts'

// Jobs of a build service as callers: their issuer is one for everybody, so all depends on the claims.

const isActions = (issuer: string): boolean =>
  /^https:\/\/token\.actions\.githubusercontent\.com(?:\/|$)|\/_services\/token$/.test(issuer)

/** Names of projects that can be given up and taken, and the ids that cannot. */
const namedProjects = [
  ['repository', 'repository_id'],
  ['repository_owner', 'repository_owner_id'],
  ['project_path', 'project_id'],
  ['namespace_path', 'namespace_id'],
] as const

const checkProject = ofOidc(({ issuer, subject, claims = {} }) => {
  const has = (claim: string) => Object.hasOwn(claims, claim)
  const hasId = namedProjects.some(([, id]) => has(id))
  const named = namedProjects.filter(([name]) => has(name) && !hasId)
  const bySubject = !hasId && isActions(issuer) && subject?.startsWith('repo:') === true
  const [name, id] = named[0] ?? (bySubject ? ['subject', 'repository_id'] : [])
  if (name === undefined) return []
  return [
    {
      code: 'ci-by-name',
      message: `${name} is a name, which another can take once it is given up`,
      advice: `add the claim ${id}, whose value stays`,
    },
  ]
})

const checkEvents = ofOidc(({ subject, claims = {} }) => {
  const texts = [claims['event_name'], claims['ref'], subject === undefined ? [] : [subject]]
    .flatMap((values) => values ?? [])
    .map(String)
  const found = texts.find((text) =>
    /^pull_request|^refs\/pull\/|:pull_request$|^merge_request/.test(text),
  )
  if (found === undefined) return []
  return [
    {
      code: 'ci-pull-request',
      message: `${found} lets in runs that somebody outside can set off by a pull request`,
      advice: 'name the branch with ref, and the events push or workflow_dispatch',
    },
  ]
})

/** What of a run says which code is run; without one of these, any branch of anybody may. */
const runClaims = ['ref', 'environment', 'job_workflow_ref', 'workflow_ref', 'event_name']

const checkRuns = ofOidc(({ issuer, subject, claims = {} }) => {
  if (!isActions(issuer) || subject !== undefined) return []
  if (runClaims.some((claim) => Object.hasOwn(claims, claim))) return []
  return [
    {
      code: 'ci-any-run',
      message: 'any branch, and any pull request of the repository, is named by this',
      advice: 'add the claim ref or environment',
    },
  ]
})

/** The claims of GitHub Actions (its reference of OIDC claims). */
const actionsClaims = [
  ...['base_ref', 'enterprise', 'enterprise_id', 'environment', 'event_name', 'head_ref'],
  ...['job_workflow_ref', 'job_workflow_sha', 'ref', 'ref_protected', 'ref_type', 'repository'],
  ...[
    'repository_id',
    'repository_owner',
    'repository_owner_id',
    'repository_visibility',
    'run_id',
  ],
  ...['run_attempt', 'run_number', 'runner_environment', 'sha', 'workflow', 'workflow_ref'],
  ...['workflow_sha', 'environment_node_id', 'check_run_id', 'issuer_scope'],
]

const checkActionsClaims = ofOidc(({ issuer, claims = {} }) => {
  if (!isActions(issuer)) return []
  return Object.entries(claims).flatMap(([name, values]): readonly Omit<Doubt, 'at'>[] => {
    const nearest = actionsClaims.includes(name) ? undefined : findNearest(name, actionsClaims)
    if (nearest !== undefined) {
      return [
        {
          code: 'misspelt',
          message: `GitHub Actions puts no claim ${name} into its tokens, so this names nobody`,
          advice: `is it ${nearest}?`,
        },
      ]
    }
    const wrong = values.find((value) => !isActionsValue(name, value))
    if (wrong === undefined) return []
    return [
      {
        code: 'claim-value',
        message: `${name} is never ${JSON.stringify(wrong)} in a token of GitHub Actions, so this names nobody`,
        advice: name === 'ref' ? 'write it as refs/heads/main' : 'write the number, in quotes',
      },
    ]
  })
}, 'claims')

/** Ids are numbers written as text, and refs are whole. */
const isActionsValue = (name: string, value: string | number | boolean): boolean => {
  if (/_id$/.test(name) && name !== 'environment_node_id') {
    return typeof value === 'string' && /^[0-9]+$/.test(value)
  }
  return name !== 'ref' || String(value).startsWith('refs/')
}

export const jobChecks: readonly Check[] = [
  checkProject,
  checkEvents,
  checkRuns,
  checkActionsClaims,
]
