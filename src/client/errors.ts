import { AppError, type Code } from '../errors.ts'

/** What to do about what the service says; what is found out here brings its own. */
const hints: { readonly [code in Code]?: string } = {
  authentication_required: 'pass `token`: a string, or a function that answers a current one',
  invalid_token: 'pass a current token made for this service, or a function that answers one',
  token_expired: 'pass `token` as a function that answers a current one: it is called for each ask',
  token_too_old: 'let the person log in again, and pass the new token',
  mfa_required: 'let the person log in again with a second factor, and pass the new token',
  insufficient_scope: 'let the person log in again with the scope that is named',
  policy_denied: 'an admin sees why with: postern policy explain',
  reason_required: 'pass `reason`: a sentence for the log',
  command_required: 'pass `command`: the name of one of the commands of the rule',
  ttl_too_long: 'ask for a shorter `ttl`, or leave it out',
  address_denied: 'ask from an address the rule names',
  quota_exceeded: 'ask again in an hour, or let an admin raise the rule’s maxPerHour',
  pop_failed: 'set this machine’s clock, and check that `url` is the service’s publicUrl',
  misdirected_request: 'set `url` to the service’s publicUrl',
  rate_limited: 'ask less often: one session takes any number of commands',
  frozen: 'ask the admin who froze issuing; nothing mends it from here',
  idp_unavailable: 'try again once the identity provider answers',
  signer_unavailable: 'try again; an admin sees more at /readyz',
  audit_unavailable: 'try again; an admin sees more at /readyz',
  clock_untrusted: 'try again; an admin sees more at /readyz',
  overloaded: 'try again in a moment',
  stopping: 'try again in a moment',
}

/** The hint for a code of the service's, ready to be laid into an error. */
export const hintFor = (code: Code): { readonly hint?: string } => {
  const hint = hints[code]
  return hint === undefined ? {} : { hint }
}

export const certificateMismatch = (
  what: string,
  hint = 'nothing was sent to the host; check that `url` is the service you mean, and tell its admin',
): AppError =>
  new AppError('certificate_mismatch', `The certificate does not say what was asked: ${what}.`, {
    hint,
  })

export const hostKeyUnknown = (name: string): AppError =>
  new AppError(
    'host_key_unknown',
    `No host key of ${name} is known, so nothing there is trusted.`,
    {
      hint: 'pass `knownHosts` with the host’s line (ssh-keyscan, over a way you trust), or enrol it: postern host invite',
    },
  )

export const hostKeyMismatch = (): AppError =>
  new AppError('host_key_mismatch', 'What answers shows none of the keys known of the host.', {
    hint: 'it may be another machine; if the host was made anew, bring its new key into `knownHosts`',
  })

export const connectionCut = (cause?: unknown): AppError =>
  new AppError('connection_cut', 'The connection to the host was cut before this was done.', {
    hint: 'what was running may have ended or not: look before you repeat it',
    ...(cause === undefined ? {} : { cause }),
  })

export const channelRefused = (what: string, cause?: unknown): AppError =>
  new AppError('channel_refused', `The host refused ${what}.`, {
    hint: 'see the host’s sshd log: a terminal needs permit-pty in the rule, and what was called off counts among its MaxSessions while it runs on',
    ...(cause === undefined ? {} : { cause }),
  })

export const sessionClosed = (): AppError =>
  new AppError('session_closed', 'This session is closed.', { hint: 'connect again' })
