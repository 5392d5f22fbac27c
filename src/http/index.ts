import { OpenAPIHono } from '@hono/zod-openapi'
import type { Copy, Evidence, History, Inventory, Log } from '../audit/index.ts'
import type { Authority, KeyRing } from '../ca/index.ts'
import type { Enrol } from '../enrol.ts'
import { AppError } from '../errors.ts'
import type { Freeze } from '../freeze.ts'
import type { Hosts, Reports, Scripts, Trust } from '../hosts/index.ts'
import { type Caller, formatIdentity, type Pool } from '../identity/index.ts'
import type { Issue } from '../issue.ts'
import type { Cidr } from '../lib/address.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/ids.ts'
import type { Logger } from '../lib/log.ts'
import type { Problem } from '../lib/yaml.ts'
import type { Explainer, Policy } from '../policy/index.ts'
import type { Revoke } from '../revoke.ts'
import type { Rotation } from '../rotate.ts'
import { type Authenticate, createAuthenticate, readCredentials } from './authentication.ts'
import type { Bindings, HttpContext, HttpEnv } from './context.ts'
import { answerProblem, toAppError } from './errors.ts'
import { createGate } from './gate.ts'
import { createLimit, type Rate } from './limits.ts'
import { identifyLocal } from './local.ts'
import type { Metrics } from './metrics.ts'
import {
  checkHost,
  checkLength,
  checkPeer,
  checkTarget,
  holdGate,
  identifyRequest,
  type Listening,
  limitAddress,
  rateLimited,
  readPath,
  readTarget,
  recordRequest,
  takeSteps,
} from './middleware.ts'
import { describeRoute, formatDocument } from './openapi.ts'
import { createFindPath, formatPattern } from './paths.ts'
import { createReadiness } from './readiness.ts'
import { createCheckRole, createFindRoles } from './roles.ts'
import { createAuditListRoute } from './routes/audit-list.ts'
import { createCheckpointRoute, createProofRoute } from './routes/audit-proofs.ts'
import { createUserCaRoute } from './routes/ca.ts'
import { createKeyListRoute, createKeyRoutes } from './routes/ca-keys.ts'
import { createCertificateListRoute } from './routes/certificate-list.ts'
import { createCertificatesRoute } from './routes/certificates.ts'
import { createDocsRoute } from './routes/docs.ts'
import { createScriptRoutes } from './routes/enrol-scripts.ts'
import { createExplainRoute } from './routes/explain.ts'
import { createFreezeRoute, createUnfreezeRoute } from './routes/freeze.ts'
import { createReadyRoute, healthRoute } from './routes/health.ts'
import { createHostRoutes } from './routes/hosts.ts'
import { createEnrolRoute, createInviteRoute } from './routes/hosts-enrol.ts'
import { createReportRoute } from './routes/hosts-report.ts'
import { createTrustRoute } from './routes/hosts-trust.ts'
import type { Route } from './routes/index.ts'
import { createKrlRoute } from './routes/krl.ts'
import { createOpenapiRoute } from './routes/openapi.ts'
import { createPolicyRoute } from './routes/policy.ts'
import { problemRoutes } from './routes/problems.ts'
import { createProvidersRoute, type LoginProvider } from './routes/providers.ts'
import {
  createRevocationsRoute,
  createRevokeRoute,
  createUnrevokeRoute,
} from './routes/revocations.ts'
import { createSchemaRoutes, type Schemas } from './routes/schemas.ts'
import { createWhoamiRoutes } from './routes/whoami.ts'

export type { Listening, LoginProvider, Metrics, Rate }

export interface HttpDeps {
  readonly issue: Issue
  readonly pool: Pool
  readonly loginProviders: readonly LoginProvider[]
  /** The same, and hosts that have just enrolled: for asks alone. */
  readonly askers: Pool
  readonly authority: Authority
  readonly ring: KeyRing
  readonly rotation: Rotation
  readonly log: Log
  readonly evidence: Evidence
  readonly copy: Copy | undefined
  readonly history: History
  readonly inventory: Inventory
  readonly currentPolicy: () => Policy
  /** Why the policy files as they are now are not in force; empty where they are. */
  readonly listPolicyProblems: () => readonly Problem[]
  readonly freeze: Freeze
  readonly hosts: Hosts
  readonly revoke: Revoke
  readonly trust: Trust
  readonly enrol: Enrol
  readonly reports: Reports
  readonly scripts: Scripts
  /** The user this process runs as: whoever comes through the admin socket. */
  readonly user: string
  readonly explainer: Explainer
  readonly clock: Clock
  /** The same, but throws `clock_untrusted` while it may be wrong. */
  readonly trustedClock: Clock
  /** Milliseconds that never step back: limits and times taken are counted by it. */
  readonly monotonic: () => number
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Origin without a trailing slash. */
  readonly publicUrl: string
  readonly listening: Listening
  readonly trustedProxies: readonly Cidr[]
  readonly limits: {
    /** Counts refused requests alone. */
    readonly perAddress: Rate | 'off'
    /** Counts every request of an identity. */
    readonly perIdentity: Rate | 'off'
    /** Requests being worked on at once. */
    readonly inFlight: number
  }
  readonly version: string
  readonly schemas: Schemas
}

/** The door: a `fetch` that always resolves, and always with an answer of ours. */
export interface Http {
  readonly fetch: (request: Request, bindings?: Bindings) => Promise<Response>
  /** The same for the admin socket: role admin without a token, and no limit. */
  readonly fetchLocal: Http['fetch']
  /** What is mounted, as the router knows it, and what each of it declared. */
  readonly routes: readonly { readonly method: string; readonly path: string }[]
  readonly table: readonly Pick<Route, 'method' | 'path' | 'access'>[]
  /** From here on every request is answered 503 `stopping`, but `/healthz`. */
  stop(): void
}

export const createHttp = (deps: HttpDeps): Http => {
  const { logger, monotonic, publicUrl, listening, trustedProxies, metrics } = deps
  const gate = createGate(deps.limits.inFlight)
  const identityLimit = createLimit(deps.limits.perIdentity, monotonic)
  const authenticate = createAuthenticate(deps)
  const authenticateAsker = createAuthenticate({ ...deps, pool: deps.askers })
  const findRoles = createFindRoles(deps)
  const checkRole = createCheckRole({ ...deps, findRoles })

  const app = new OpenAPIHono<HttpEnv>({
    getPath: (request, given) => readPath(readTarget(request, given?.env)),
  })

  const table: readonly Route[] = [
    createCertificatesRoute(deps),
    createCertificateListRoute({ ...deps, findRoles, checkRole }),
    ...createWhoamiRoutes(deps),
    createProvidersRoute(deps.loginProviders),
    createUserCaRoute(deps.ring),
    createKeyListRoute(deps.ring),
    ...createKeyRoutes(deps.rotation),
    createExplainRoute({ ...deps, checkRole }),
    createPolicyRoute(deps),
    createFreezeRoute(deps.freeze),
    createUnfreezeRoute(deps.freeze),
    ...createHostRoutes(deps),
    createInviteRoute(deps),
    createEnrolRoute(deps),
    createTrustRoute(deps.trust),
    createRevokeRoute(deps.revoke),
    createUnrevokeRoute(deps.revoke),
    createRevocationsRoute(deps.revoke),
    createKrlRoute(deps.revoke),
    createReportRoute(deps),
    ...createScriptRoutes(deps.scripts),
    createAuditListRoute(deps.history),
    createCheckpointRoute(deps.evidence),
    createProofRoute(deps.evidence),
    healthRoute,
    createReadyRoute(createReadiness(deps), gate.isClosed),
    createOpenapiRoute(() => formatDocument(app, deps)),
    createDocsRoute(() => ({ document: formatDocument(app, deps), table })),
    ...problemRoutes,
    ...createSchemaRoutes(deps.schemas),
  ]

  const answerError = (thrown: unknown, c: HttpContext): Response => {
    const error = toAppError(thrown)
    const { code, kind, detail, cause } = error
    const hasReason = detail !== undefined || cause !== undefined
    if (kind === 'internal' || (kind === 'unavailable' && hasReason)) {
      logger.error({ id: c.get('facts').id, code, detail, ...describeCause(cause) }, 'failed')
    }
    return answerProblem(c, error)
  }

  /** First listed is outermost. */
  const steps = [
    identifyRequest({
      random: deps.random,
      monotonic,
      listening,
      trustedProxies,
      findPath: createFindPath(table.map(({ path }) => path)),
    }),
    recordRequest({ logger, metrics, monotonic }),
    holdGate(gate),
    checkPeer(listening, trustedProxies),
    limitAddress(createLimit(deps.limits.perAddress, monotonic)),
    checkTarget(table),
    checkHost(listening, publicUrl),
    checkLength,
  ]
  app.use(takeSteps(steps, answerError))

  const limitIdentity = ({ identity }: Caller) => {
    const key = JSON.stringify([identity.issuer, identity.subject])
    const wait = identityLimit.check(key)
    if (wait > 0) throw rateLimited(wait)
    identityLimit.take(key)
  }

  const identify = async (c: HttpContext, prove: Authenticate = authenticate) => {
    const caller = await prove(c)
    limitIdentity(caller)
    return caller
  }

  /** The handler of a route behind the check its access declares; what declares none is not mounted. */
  const guard = (route: Route) => {
    if (route.access === 'public') return (c: HttpContext) => route.handle(c)
    if (route.access === 'identity') {
      const prove = route.takesEnrolment === true ? authenticateAsker : authenticate
      return async (c: HttpContext) =>
        c.env.isLocal && route.handleLocal !== undefined
          ? route.handleLocal(c)
          : route.handle(c, await identify(c, prove))
    }
    if (route.access === 'enrolment') {
      return (c: HttpContext) => route.handle(c, readCredentials(c, '"postern host invite"'))
    }
    if (route.access === 'own') {
      return async (c: HttpContext) => {
        if (c.env.isLocal) {
          return route.handle(c, { identity: identifyLocal(c, deps.user) }, async () => {})
        }
        const caller = await identify(c)
        const actor = { identity: formatIdentity(caller.identity) }
        return route.handle(c, actor, () => checkRole(c, caller, 'admin'))
      }
    }
    const role = route.access?.role
    if (role === undefined) throw new TypeError('a route declares no access')
    return async (c: HttpContext) => {
      if (c.env.isLocal) return route.handle(c, { identity: identifyLocal(c, deps.user) })
      const caller = await identify(c)
      await checkRole(c, caller, role)
      return route.handle(c, { identity: formatIdentity(caller.identity) })
    }
  }
  for (const route of table) {
    app.on(route.method.toUpperCase(), formatPattern(route.path), guard(route))
    describeRoute(app, route)
  }

  app.notFound((c) => {
    const { route } = c.get('facts')
    const methods = table.filter(({ path }) => path === route).map(({ method }) => method)
    if (methods.length === 0) {
      const text = 'There is nothing at this path. What there is stands in /openapi.json.'
      return answerProblem(c, new AppError('not_found', text))
    }
    const allow = methods.flatMap((method) =>
      method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
    )
    const text = `This path takes ${allow.join(' and ')} only.`
    return answerProblem(c, new AppError('method_not_allowed', text), {
      allow: allow.join(', '),
    })
  })

  app.onError(answerError)

  return Object.freeze({
    fetch: async (request: Request, bindings: Bindings = {}) =>
      app.fetch(request, { ...bindings, isLocal: false }),
    fetchLocal: async (request: Request, bindings: Bindings = {}) =>
      app.fetch(request, { ...bindings, isLocal: true }),
    routes: app.routes,
    table,
    stop: gate.close,
  })
}

/** Where a failure came from, without its message: libraries quote what they were given, tokens too. */
const describeCause = (cause: unknown) =>
  cause instanceof Error
    ? { cause: cause.name, frames: cause.stack?.split('\n').filter((line) => /^ +at /.test(line)) }
    : {}
