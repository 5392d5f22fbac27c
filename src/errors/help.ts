import type { Code } from '../errors.ts'

/** What a person who meets a code wants to know, beside the sentence that came with it. */
export interface Help {
  /** What happened, and why this is refused. */
  readonly happened: string
  /** What to do about it. */
  readonly remedy: string
  /** Who can do that. */
  readonly who: string
}

const caller = 'You, or whoever wrote the program that asked.'
const policyAdmin = 'Whoever keeps the policy files of this service.'
const admin = 'An administrator of this service.'
const provider = 'You, at your identity provider.'

/** One page for every code: `/problems/<code>` and `postern help <code>`. */
export const help: Readonly<Record<Code, Help>> = {
  invalid_request: {
    happened:
      'The request has not the shape that its route takes: a member is missing, unknown, or of another kind. Nothing was decided and nothing issued.',
    remedy:
      'Read the detail of the answer, which names the member. /docs shows the shape with an example.',
    who: caller,
  },
  invalid_public_key: {
    happened: 'What was sent as the public key cannot be read as one.',
    remedy:
      'Send one line, "TYPE BASE64", as in an id_ed25519.pub file. `ssh-keygen -l -f FILE` says whether a file holds a public key.',
    who: caller,
  },
  private_key_submitted: {
    happened:
      'A private key was sent. It was not used and not stored, but it has left its machine, and a proxy or a log in between may have kept it.',
    remedy:
      'Treat the key as lost: make a new one with `ssh-keygen -t ed25519`, remove the old one wherever it is trusted, and send the file that ends in .pub.',
    who: caller,
  },
  unsupported_key_type: {
    happened: 'The public key is of a type that is not certified here.',
    remedy: 'Make an ed25519 key: `ssh-keygen -t ed25519`. ECDSA, RSA and FIDO keys are taken too.',
    who: caller,
  },
  weak_key: {
    happened: 'The key is too short, or is known to be guessable.',
    remedy: 'Make an ed25519 key: `ssh-keygen -t ed25519`. RSA keys need 2048 bits at least.',
    who: caller,
  },
  invalid_host: {
    happened: 'The host is no host name in its canonical form.',
    remedy:
      'Send the name in lower case, without a trailing dot, and not an IP address. `postern host list` shows the names there are.',
    who: caller,
  },
  invalid_login: {
    happened: 'The login cannot be the name of a user on a host.',
    remedy:
      'Send the name as it stands in the host’s passwd file: at most 32 of a-z, 0-9, "_", "." and "-".',
    who: caller,
  },
  invalid_ttl: {
    happened: 'The ttl is not a duration.',
    remedy:
      'Send a whole number and one of s, m, h, d, like "15m"; or leave it out and take the rule’s own.',
    who: caller,
  },
  token_in_url: {
    happened:
      'A token was sent in the URL. URLs are kept by proxies, browsers and logs, so the token may be known to others now.',
    remedy: 'Revoke the token, get a new one, and send it as `Authorization: Bearer …`.',
    who: caller,
  },
  misdirected_request: {
    happened:
      'The Host header names another server than this one. Pages that try to reach a server inside your network by a name of their own (DNS rebinding) look like that.',
    remedy: 'Use the address in publicUrl. Behind a proxy, let it pass the Host header on.',
    who: `${admin} For a proxy, whoever runs it.`,
  },
  body_too_large: {
    happened: 'The body is larger than this service reads.',
    remedy: 'Send less: no ask needs more than a few kilobytes.',
    who: caller,
  },
  headers_too_large: {
    happened: 'The headers are larger than this service reads.',
    remedy: 'Send fewer or shorter headers; cookies are not needed here.',
    who: caller,
  },
  request_timeout: {
    happened: 'The request did not arrive whole in time, and was cut.',
    remedy:
      'Send it again. If it happens often, look for what is slow between you and the service.',
    who: caller,
  },
  unsupported_media_type: {
    happened: 'The body is not declared to be what the route reads.',
    remedy: 'Send `Content-Type: application/json`, and no Content-Encoding.',
    who: caller,
  },
  authentication_required: {
    happened: 'The request names nobody.',
    remedy:
      'Send `Authorization: Bearer TOKEN` with a token of a configured identity provider. At a desk: `postern login`.',
    who: caller,
  },
  invalid_token: {
    happened:
      'The token is not accepted. It may have ended, be meant for another service, or come from an issuer that is not configured. Which of them it was stands in the service’s log alone, so that nobody can try tokens out.',
    remedy:
      'Get a new token. If a new one is refused too, give an administrator the requestId of the answer: `postern audit show REQUESTID` says what was wrong.',
    who: `${provider} Then an administrator, who can read the reason.`,
  },
  pop_failed: {
    happened:
      'The proof that you hold the private key does not verify, was made for another request or service, has been used already, or its time is more than a minute off.',
    remedy:
      'Sign anew, over exactly the members that are sent, with the key that is to be certified. Check the clock of the machine that signs.',
    who: caller,
  },
  token_expired: {
    happened: 'The token has ended, and a certificate by this rule may not outlive it.',
    remedy: 'Get a new token and ask again. At a desk: `postern login`.',
    who: provider,
  },
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
      'You have been revoked: all certificates you held, and every new one, whatever key you ask with.',
    remedy: 'Ask why. `postern unrevoke --subject` lets you have new certificates again.',
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
  insufficient_scope: {
    happened: 'The rule asks GitHub about a membership, and your token may not read it.',
    remedy: 'Authorise the app anew with the scope read:org, and send the new token.',
    who: provider,
  },
  key_in_use: {
    happened: 'The key belongs to the certificate authority itself, and may not be certified.',
    remedy: 'Make a key of your own: `ssh-keygen -t ed25519`.',
    who: caller,
  },
  untrusted_peer: {
    happened:
      'The service speaks plain HTTP here, and serves its trusted proxies only. You are connected past the proxy.',
    remedy:
      'Use the https address of the service. A proxy of your own must stand in trustedProxies.',
    who: admin,
  },
  not_found: {
    happened: 'There is nothing by this name.',
    remedy: 'Check the path or the name. /docs lists every path.',
    who: caller,
  },
  method_not_allowed: {
    happened: 'The path exists, and takes another method.',
    remedy: 'Send one of the methods in the Allow header.',
    who: caller,
  },
  rate_limited: {
    happened: 'Too many requests came from your address or your identity in a short time.',
    remedy:
      'Wait as many seconds as Retry-After says. Programs should keep a certificate until it ends, not ask for each login.',
    who: caller,
  },
  frozen: {
    happened:
      'All issuing has been stopped, by somebody whom the detail names. Certificates that are out go on until they end.',
    remedy: 'Ask them. `postern unfreeze` lifts it.',
    who: admin,
  },
  overloaded: {
    happened: 'The service has more to do than it takes on at once. Nothing was issued.',
    remedy:
      'Try again after Retry-After. If it lasts, look at what else the machine does, at the disk of the log, and at limits.inFlight.',
    who: admin,
  },
  clock_untrusted: {
    happened:
      'The clock of the service has jumped, or stands before its own newest certificate. Nothing is issued by a clock that may be wrong.',
    remedy:
      'Set the clock right. Where it is right already: restart with `postern serve --accept-clock`.',
    who: admin,
  },
  stopping: {
    happened: 'The service is shutting down, and takes no more requests.',
    remedy: 'Try again in a moment, on a new connection.',
    who: caller,
  },
  idp_unavailable: {
    happened:
      'The identity provider did not answer, so the token could not be checked. Nobody is let in on a guess.',
    remedy: 'Try again in a moment. If it lasts, see /readyz, and the provider’s own status page.',
    who: admin,
  },
  signer_unavailable: {
    happened:
      'The key that signs does not answer: the ssh-agent that holds it may be gone or locked.',
    remedy: 'Look at /readyz and at the agent. The service goes on by itself once the key answers.',
    who: admin,
  },
  audit_unavailable: {
    happened:
      'The log cannot be written, so nothing may leave: no certificate without a record. The usual cause is a full disk.',
    remedy:
      'Make room on the disk of dataDir, or mend it. The service goes on within seconds, without a restart.',
    who: admin,
  },
  signer_selfcheck: {
    happened:
      'A signed certificate was read again and was not what had been decided. It was dropped.',
    remedy:
      'Stop using this key until it is understood: `postern freeze`, then the service’s log, by the requestId.',
    who: admin,
  },
  unsound_certificate: {
    happened:
      'What was decided would have made an unsound certificate, and was not signed. This is a fault of ours.',
    remedy: 'Report it with the entry: `postern audit show REQUESTID`.',
    who: admin,
  },
  not_logged_in: {
    happened: 'There is no login at this desk, or it has ended.',
    remedy: '`postern login`; in CI give the job an ID token, and it needs no login.',
    who: 'You.',
  },
  login_failed: {
    happened: 'The identity provider did not let you in, or its answer was not to this login.',
    remedy: 'Try again: `postern login`. `--flow device` works without a browser on this machine.',
    who: provider,
  },
  login_running: {
    happened: 'Another `postern login` waits for you; a second one would open one more page.',
    remedy: 'Finish the first, or end it with Ctrl-C in its terminal.',
    who: 'You.',
  },
  no_terminal: {
    happened: 'A login asks a person something, and there is no terminal to ask on.',
    remedy:
      'Log in at a terminal. In CI give the job an ID token: `permissions: { id-token: write }` at GitHub, `id_tokens: { POSTERN_ID_TOKEN: { aud: … } }` at GitLab.',
    who: 'You, or whoever wrote the job.',
  },
  unsafe_place: {
    happened:
      'A file, directory or socket that holds a login or speaks for it belongs to somebody else, or others may use it.',
    remedy:
      'Look at what is there with `ls -ld`; take the rights of others away as the hint says. If others could read it, log in anew.',
    who: 'You.',
  },
  not_running: {
    happened: 'No postern answers where the command looked for one.',
    remedy:
      'Start it with `postern serve`, or name the right one: "--url https://HOST". On its own machine the command must run as the service’s user or as root.',
    who: admin,
  },
  already_running: {
    happened: 'Another postern holds this dataDir. Two would fork the log.',
    remedy: 'End the other one, or give this one a dataDir of its own.',
    who: admin,
  },
  already_exists: {
    happened: 'A file or name is there already, and is never overwritten.',
    remedy: 'Choose another name, or move the old one away.',
    who: caller,
  },
  certificate_expired: {
    happened:
      'The certificate has ended by itself, also for hosts whose clocks are an hour behind.',
    remedy: 'Nothing: no host takes it. A session that it began goes on until it is ended there.',
    who: caller,
  },
  log_conflict: {
    happened: 'The log has moved on while something was written to it: a second writer was there.',
    remedy: 'Make sure that only one postern uses the dataDir, then try again.',
    who: admin,
  },
  log_rollback: {
    happened:
      'The log ends before a checkpoint that was signed for it: an older copy was put back, or its end was cut off. The service does not start.',
    remedy:
      'Put the newest copy back. If what is missing is lost: `postern serve --accept-rollback`, once, which is an entry itself.',
    who: admin,
  },
  invalid_checkpoint: {
    happened: 'The checkpoint is not one of this log, or its signature does not verify.',
    remedy: 'Check which file it is, and which key signed: `postern audit key`.',
    who: admin,
  },
  log_corrupt: {
    happened: 'An entry of the log is not what its hash says: it was damaged or changed.',
    remedy:
      'Keep the file as it is. `postern audit verify` names the first bad entry; the runbook in the README goes on from there.',
    who: admin,
  },
  invalid_config: {
    happened: 'The configuration has mistakes, and the service does not start with it.',
    remedy:
      'Each line of the message names a place as file:line:column. An editor that knows /schemas/config.json shows them while you type.',
    who: admin,
  },
  invalid_policy: {
    happened:
      'The policy files have mistakes, or one of their tests fails. A running service keeps the last good policy.',
    remedy: '`postern policy check` and `postern policy test` name each place.',
    who: policyAdmin,
  },
  usage: {
    happened: 'The command line has an unknown or missing part.',
    remedy: 'Add --help to the command: it shows examples.',
    who: caller,
  },
  certificate_mismatch: {
    happened:
      'The service answered with a certificate that is not the one that was asked for: another key, host, login or time, or a signature that does not verify. The client did not use it.',
    remedy:
      'Check that the URL is that of your own service, and tell its administrator: a service in order never answers so.',
    who: admin,
  },
  host_key_unknown: {
    happened:
      'Neither the service nor the caller knows a key of this host, and a host is never trusted because it happened to answer.',
    remedy:
      'Enrol the host, list its hostKeys in the policy files, or hand the client known_hosts lines that you have checked.',
    who: 'An administrator of this service, or you.',
  },
  host_key_mismatch: {
    happened:
      'The host showed another key than the one that is known of it. Somebody may stand in between, or the host was set up anew.',
    remedy:
      'Do not go on. If the host was set up anew, enrol it again; else find out who answers at that address.',
    who: 'Whoever runs the host.',
  },
  host_key_revoked: {
    happened: 'The host showed a key that known_hosts marks as revoked.',
    remedy: 'Do not go on. Replace the key of the host, and enrol it again.',
    who: 'Whoever runs the host.',
  },
  login_refused: {
    happened:
      'The host refused the certificate. The usual causes: it does not trust this CA yet, the login has no principals file there, the account is locked, or the certificate was revoked.',
    remedy:
      'Run `postern-host doctor` on the host, or `postern doctor HOST --as SUBJECT --login LOGIN` at a desk.',
    who: 'Whoever runs the host.',
  },
  channel_refused: {
    happened: 'The host accepted the login, and refused the command or the channel.',
    remedy:
      'Ask for another rule where a certificate allows one command alone, or for permit-pty where a terminal is wanted.',
    who: policyAdmin,
  },
  transfer_failed: {
    happened: 'The file could not be read or written on the host.',
    remedy: 'Check the path and its permissions, and the room on the disk of the host.',
    who: 'Whoever runs the host.',
  },
  invalid_known_hosts: {
    happened: 'The known_hosts lines that were handed over cannot be read.',
    remedy: 'Send whole lines, as ssh-keyscan prints them and sshd(8) describes them.',
    who: caller,
  },
  invalid_command: {
    happened: 'The command cannot be sent: it is empty, or holds a character that no command can.',
    remedy: 'Send an argv of strings without NUL, or one raw command.',
    who: caller,
  },
  output_too_large: {
    happened: 'The command printed more than the caller wants to hold in memory, and was ended.',
    remedy: 'Raise maxOutput, or take the output as a stream.',
    who: caller,
  },
  connection_failed: {
    happened: 'The host could not be reached by SSH.',
    remedy:
      'Check its address and port (`postern host show HOST`), and that a firewall lets you through.',
    who: 'Whoever runs the host or the network.',
  },
  connection_cut: {
    happened:
      'The connection ended before the command did. Whether the command went on is not known.',
    remedy: 'Look at the host before you run it again, unless it may safely run twice.',
    who: caller,
  },
  session_closed: {
    happened: 'The session has been closed, and takes no more commands.',
    remedy: 'Connect again.',
    who: caller,
  },
  timeout: {
    happened: 'It took longer than the caller was willing to wait, and was ended.',
    remedy: 'Try again, or allow it more time.',
    who: caller,
  },
  aborted: {
    happened: 'It was called off by whoever asked for it.',
    remedy: 'Nothing, unless you did not mean to.',
    who: caller,
  },
  unknown_problem: {
    happened:
      'The service gave a code that this client does not know: it is newer than the client, or no postern.',
    remedy: 'Update the client, and check the URL.',
    who: caller,
  },
  ca_key_conflict: {
    happened: 'The key ring is not in a state in which this step can be taken.',
    remedy:
      '`postern ca list` shows the keys and their states; the README has the order of the steps.',
    who: admin,
  },
  certificates_alive: {
    happened:
      'The key has signed certificates that have not ended. Without the key they would stop working at once.',
    remedy:
      'Wait until the last one has ended, which the detail names. Where the key is suspected: --force.',
    who: admin,
  },
  hosts_behind: {
    happened:
      'Some hosts that were seen within a day do not trust the new key yet, and would refuse what it signs.',
    remedy:
      'Wait a minute or two, or see to the hosts that are named. --force goes on without them.',
    who: admin,
  },
  internal: {
    happened: 'Something went wrong that nobody foresaw. Nothing was issued.',
    remedy:
      'Try again. If it stays, give an administrator the requestId: the service’s log has the cause.',
    who: admin,
  },
}
