import type { Code } from '../../errors.ts'
import { admin, caller, type Help, policyAdmin, provider } from './words.ts'

/** What the service refuses to somebody whom it knows. */
export const ofRefusals = {
  policy_denied: {
    happened:
      'No rule of the policy gives you this login on this host, or one refuses it. The refusal is in the log, with the rule that decided.',
    remedy:
      'Check host and login for a slip. `POST /v1/explain` says which of your groups would matter. If you should have it, ask for a rule, and name the requestId.',
    who: policyAdmin,
  },
  mfa_required: {
    happened:
      'The rule wants a second factor, and the token does not show one, or one that is too long ago.',
    remedy: 'Log in again at your identity provider with a second factor, and send the new token.',
    who: `${provider} GitHub’s tokens never show a second factor: there the rule must be another one.`,
  },
  reason_required: {
    happened: 'The rule wants to know why, and no reason was given, or not in the form it wants.',
    remedy: 'Send "reason": a sentence, or the number of the ticket, as the detail says.',
    who: caller,
  },
  command_required: {
    happened: 'By this rule only certain commands may be run, and the ask names none of them.',
    remedy: 'Send "command" with one of the names in the detail.',
    who: caller,
  },
  ttl_too_long: {
    happened: 'More time was asked for than the rule gives. It is refused rather than cut.',
    remedy: 'Ask for less, or leave ttl out.',
    who: caller,
  },
  address_denied: {
    happened: 'The rule speaks of certain addresses, and yours is not among them.',
    remedy: 'Ask from the network the rule names, such as the office or a VPN.',
    who: caller,
  },
  token_too_old: {
    happened: 'The rule wants a token that was issued more recently.',
    remedy: 'Log in again, and send the new token.',
    who: provider,
  },
  proof_required: {
    happened: 'The rule wants proof that whoever asks holds the private key.',
    remedy: 'Send "proof". The SDK (postern/client) and the command line do so by themselves.',
    who: caller,
  },
  quota_exceeded: {
    happened: 'The rule has a ceiling on what it may issue in an hour, and that is reached.',
    remedy:
      'Wait. If it should not have been reached, look for what asked: `postern audit search --rule NAME --since 1h`.',
    who: policyAdmin,
  },
  key_revoked: {
    happened: 'The key you asked for has been revoked, and is given no certificate any more.',
    remedy: 'Make a new one with `ssh-keygen -t ed25519`, and ask with that.',
    who: caller,
  },
  subject_revoked: {
    happened:
      'You have been revoked: all certificates you held, every new one, whatever key you ask with, and your roles.',
    remedy:
      'Ask why. `postern unrevoke --subject` lets you have new certificates, and your roles, again.',
    who: admin,
  },
  host_unknown: {
    happened: 'Certificates are only for hosts that are listed or enrolled (knownHostsOnly).',
    remedy: 'Check the name: `postern host list` prints all. Else `postern host invite` it.',
    who: policyAdmin,
  },
  report_refused: {
    happened: 'The host has not signed it by a pinned key, or not within ten minutes of now.',
    remedy: 'Check the host’s clock. With new host keys it enrols again: `postern host invite`.',
    who: policyAdmin,
  },
  role_required: {
    happened:
      'This route is for a role (admin or auditor), and the policy gives you none that fits.',
    remedy:
      'Ask for the role in "roles" of the policy. On the server itself, through the admin socket, no role is asked for.',
    who: policyAdmin,
  },
  key_in_use: {
    happened: 'The key belongs to the certificate authority itself, and may not be certified.',
    remedy: 'Make a key of your own: `ssh-keygen -t ed25519`.',
    who: caller,
  },
} as const satisfies Partial<Record<Code, Help>>
