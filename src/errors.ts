/**
 * The closed list of what can go wrong. A `kind` fixes the HTTP status and the exit code, a `code`
 * names the case and is what the wire carries: callers switch on it, so a code never changes its meaning.
 */
export const kinds = {
  invalid: { status: 400, exit: 2 },
  unauthenticated: { status: 401, exit: 1 },
  denied: { status: 403, exit: 1 },
  not_found: { status: 404, exit: 1 },
  conflict: { status: 409, exit: 1 },
  expired: { status: 410, exit: 1 },
  limited: { status: 429, exit: 1 },
  unavailable: { status: 503, exit: 1 },
  unsupported: { status: 415, exit: 2 },
  internal: { status: 500, exit: 1 },
} as const satisfies Record<string, { readonly status: number; readonly exit: number }>

export type Kind = keyof typeof kinds

/** Every code, its kind, the title of its problem document, and a status where the kind's does not fit. */
export const codes = {
  invalid_request: { kind: 'invalid', title: 'The request is not valid' },
  invalid_public_key: { kind: 'invalid', title: 'The public key is not usable' },
  private_key_submitted: { kind: 'invalid', title: 'A private key was sent' },
  unsupported_key_type: { kind: 'invalid', title: 'The key type is not supported' },
  weak_key: { kind: 'invalid', title: 'The key is too weak' },
  invalid_host: { kind: 'invalid', title: 'The host name is not valid' },
  invalid_login: { kind: 'invalid', title: 'The login is not valid' },
  invalid_ttl: { kind: 'invalid', title: 'The ttl is not valid' },
  token_in_url: { kind: 'invalid', title: 'A token was sent in the URL' },
  misdirected_request: {
    kind: 'invalid',
    title: 'The Host header names another server',
    status: 421,
  },
  body_too_large: { kind: 'invalid', title: 'The body is too large', status: 413 },
  headers_too_large: { kind: 'invalid', title: 'The headers are too large', status: 431 },
  request_timeout: { kind: 'invalid', title: 'The request took too long', status: 408 },
  unsupported_media_type: { kind: 'unsupported', title: 'The body has the wrong media type' },
  authentication_required: { kind: 'unauthenticated', title: 'A token is needed' },
  invalid_token: { kind: 'unauthenticated', title: 'The token is not accepted' },
  pop_failed: { kind: 'unauthenticated', title: 'The proof of possession is not accepted' },
  token_expired: { kind: 'unauthenticated', title: 'The token has expired' },
  policy_denied: { kind: 'denied', title: 'The policy does not allow this' },
  mfa_required: { kind: 'denied', title: 'A second factor is needed' },
  reason_required: { kind: 'denied', title: 'A reason is needed' },
  command_required: { kind: 'denied', title: 'One of the commands must be asked for' },
  ttl_too_long: { kind: 'denied', title: 'The ttl is longer than allowed' },
  address_denied: { kind: 'denied', title: 'This is not allowed from your address' },
  token_too_old: { kind: 'denied', title: 'The token is too old for this' },
  proof_required: { kind: 'denied', title: 'A proof of possession is needed' },
  quota_exceeded: { kind: 'denied', title: 'The rule has issued enough for this hour' },
  report_refused: { kind: 'denied', title: 'The report is not accepted' },
  host_unknown: { kind: 'denied', title: 'The host is not on the list' },
  role_required: { kind: 'denied', title: 'A role is needed' },
  insufficient_scope: { kind: 'denied', title: 'The token lacks a scope the policy needs' },
  key_revoked: { kind: 'denied', title: 'The key is revoked' },
  subject_revoked: { kind: 'denied', title: 'The person is revoked' },
  key_in_use: { kind: 'denied', title: 'The key may not be certified' },
  untrusted_peer: { kind: 'denied', title: 'Only a trusted proxy may connect' },
  not_found: { kind: 'not_found', title: 'There is nothing here' },
  method_not_allowed: { kind: 'not_found', title: 'The method is not allowed here', status: 405 },
  rate_limited: { kind: 'limited', title: 'Too many requests' },
  frozen: { kind: 'unavailable', title: 'Issuing is frozen' },
  overloaded: { kind: 'unavailable', title: 'The service is busy' },
  clock_untrusted: { kind: 'unavailable', title: 'The clock may be wrong' },
  stopping: { kind: 'unavailable', title: 'The service is stopping' },
  idp_unavailable: { kind: 'unavailable', title: 'The identity provider does not answer' },
  signer_unavailable: { kind: 'unavailable', title: 'The signing key does not answer' },
  audit_unavailable: { kind: 'unavailable', title: 'The log cannot be written' },
  signer_selfcheck: { kind: 'internal', title: 'The certificate failed its own check' },
  unsound_certificate: { kind: 'internal', title: 'The certificate would have been unsound' },
  // What the SDK finds out by itself, at the service and at the host.
  certificate_mismatch: { kind: 'denied', title: 'The certificate does not say what was asked' },
  host_key_unknown: { kind: 'denied', title: 'No key of the host is known' },
  host_key_mismatch: { kind: 'denied', title: 'The host shows another key' },
  host_key_revoked: { kind: 'denied', title: 'The host shows a revoked key' },
  login_refused: { kind: 'denied', title: 'The host refused the login' },
  channel_refused: { kind: 'denied', title: 'The host refused the command' },
  transfer_failed: { kind: 'conflict', title: 'The file could not be transferred' },
  invalid_known_hosts: { kind: 'invalid', title: 'The known hosts are not valid' },
  invalid_command: { kind: 'invalid', title: 'The command is not valid' },
  output_too_large: { kind: 'limited', title: 'There is more output than allowed' },
  connection_failed: { kind: 'unavailable', title: 'The host cannot be reached' },
  connection_cut: { kind: 'unavailable', title: 'The connection was cut' },
  session_closed: { kind: 'conflict', title: 'The session is closed' },
  timeout: { kind: 'unavailable', title: 'It took too long' },
  aborted: { kind: 'unavailable', title: 'It was called off' },
  unknown_problem: { kind: 'unsupported', title: 'The service gave an unknown reason' },
  not_logged_in: { kind: 'unauthenticated', title: 'You are not logged in' },
  login_failed: { kind: 'unauthenticated', title: 'The login has failed' },
  login_running: { kind: 'conflict', title: 'A login is under way already' },
  no_terminal: { kind: 'invalid', title: 'There is no terminal to ask on', exit: 1 },
  unsafe_place: { kind: 'invalid', title: 'Others could use what is kept here', exit: 1 },
  not_running: { kind: 'unavailable', title: 'The service does not answer' },
  already_running: { kind: 'conflict', title: 'Another postern is running' },
  already_exists: { kind: 'conflict', title: 'It exists already' },
  ca_key_conflict: { kind: 'conflict', title: 'The CA key is not in a state for this' },
  hosts_behind: { kind: 'conflict', title: 'Not every host trusts the key yet' },
  certificates_alive: { kind: 'conflict', title: 'Certificates of the key are still alive' },
  certificate_expired: { kind: 'conflict', title: 'The certificate has ended' },
  log_conflict: { kind: 'conflict', title: 'The log has moved on' },
  log_rollback: { kind: 'conflict', title: 'The log ends before a checkpoint of it' },
  invalid_checkpoint: { kind: 'invalid', title: 'The checkpoint is not valid', exit: 1 },
  log_corrupt: { kind: 'internal', title: 'The log does not verify' },
  invalid_config: { kind: 'invalid', title: 'The configuration is not valid', exit: 78 },
  invalid_policy: { kind: 'invalid', title: 'The policy is not valid', exit: 1 },
  usage: { kind: 'invalid', title: 'The command line is not valid' },
  internal: { kind: 'internal', title: 'Something went wrong on our side' },
} as const satisfies Record<
  string,
  { readonly kind: Kind; readonly title: string; readonly status?: number; readonly exit?: number }
>

export type Code = keyof typeof codes

/**
 * One error, two messages: `message` is a sentence for the caller, who can act on it; `detail` is
 * for the log and the admin, and never leaves through a door.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly kind: Kind
  readonly code: Code
  readonly detail: string | undefined
  /** The command or change that mends it; the command line prints it as `hint:`. */
  readonly hint: string | undefined
  /** Seconds after which the same request may succeed (`Retry-After`). */
  readonly retryAfter: number | undefined

  constructor(
    code: Code,
    message: string,
    more: { detail?: string; hint?: string; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.kind = codes[code].kind
    this.detail = more.detail
    this.hint = more.hint
    this.retryAfter = more.retryAfter
  }
}

/** HTTP status of a code. */
export const statusOf = (code: Code): number => {
  const row: { kind: Kind; status?: number } = codes[code]
  return row.status ?? kinds[row.kind].status
}

/** Exit code of a code: 0 ok, 1 found or refused, 2 usage, 78 configuration (sysexits EX_CONFIG). */
export const exitOf = (code: Code): number => {
  const row: { kind: Kind; exit?: number } = codes[code]
  return row.exit ?? kinds[row.kind].exit
}

/** What an entry of the log says of a request that failed; of a fault of our own, all that is known. */
export const describeFailure = (error: unknown) => {
  const known = error instanceof AppError ? error : undefined
  const isDenial = known?.kind === 'denied' || known?.kind === 'unauthenticated'
  return {
    type: isDenial ? ('deny' as const) : ('error' as const),
    code: known?.code ?? 'internal',
    reason: known?.message ?? 'Something went wrong on our side.',
    detail: known?.detail ?? (error instanceof Error ? error.message : String(error)),
  }
}
