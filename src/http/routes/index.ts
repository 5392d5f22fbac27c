import type { z } from '@hono/zod-openapi'
import type { EntryIdentity } from '../../audit/index.ts'
import type { Code } from '../../errors.ts'
import type { Caller } from '../../identity/index.ts'
import type { Role } from '../../policy/index.ts'
import type { HttpContext } from '../context.ts'

/** What every route says of itself: enough to mount it, and to describe it in OpenAPI. */
interface RouteBase {
  readonly method: 'get' | 'post' | 'delete'
  /** A `{name}` stands for one segment, which the handler reads by `c.req.param` and checks itself. */
  readonly path: `/${string}`
  readonly summary: string
  readonly description: string
  /** The names its query may have, each at most once, and what they say. None where it takes no query. */
  readonly query?: Readonly<Record<string, string>>
  readonly body?: { readonly schema: z.ZodObject; readonly example: unknown }
  /** There in place of `body` where it takes plain text. */
  readonly text?: { readonly example: string }
  readonly answers: readonly {
    readonly status: number
    readonly description: string
    readonly contentType: string
    readonly schema: z.ZodType
    readonly example: unknown
  }[]
  /** The codes it can be refused with beside those any request can meet. */
  readonly failures: readonly Code[]
}

/** Open to everybody. What it answers is public. */
export interface PublicRoute extends RouteBase {
  readonly access: 'public'
  handle(c: HttpContext): Promise<Response> | Response
}

/** Open to a caller with an accepted token: there is no calling `handle` without one. */
export interface IdentityRoute extends RouteBase {
  readonly access: 'identity'
  /** Whether a host that has just enrolled is a caller too: for the ask that proves its login. */
  readonly takesEnrolment?: true
  handle(c: HttpContext, caller: Caller): Promise<Response> | Response
  /** What it answers a local admin, who has no token; without it one is asked for there too. */
  handleLocal?(c: HttpContext): Promise<Response> | Response
}

/** Open to the token of an invitation, which the use case redeems; to no other, and to no identity. */
export interface EnrolmentRoute extends RouteBase {
  readonly access: 'enrolment'
  handle(c: HttpContext, credentials: string): Promise<Response> | Response
}

/** Who acts under a role: a caller with a token, or a local admin, who has none. */
export interface Actor {
  readonly identity: EntryIdentity
}

/**
 * Open to a caller who has the role by the policy in force, and through the admin socket. An admin
 * may do all that an auditor may.
 */
export interface RoleRoute extends RouteBase {
  readonly access: { readonly role: Role }
  handle(c: HttpContext, actor: Actor): Promise<Response> | Response
}

/**
 * Open to a caller with an accepted token for what is their own, and for everything to one who has the
 * role admin, and through the admin socket. `checkAdmin` resolves for the latter; `handle` asks it
 * before it touches what is not the caller's own. Code: `role_required`
 */
export interface OwnRoute extends RouteBase {
  readonly access: 'own'
  handle(
    c: HttpContext,
    actor: Actor,
    checkAdmin: () => Promise<void>,
  ): Promise<Response> | Response
}

/** A route that declares no access has no type, and is refused when it is mounted. */
export type Route = PublicRoute | IdentityRoute | EnrolmentRoute | RoleRoute | OwnRoute
