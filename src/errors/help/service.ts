import type { Code } from '../../errors.ts'
import { admin, caller, type Help, policyAdmin } from './words.ts'

/** What is the matter with the service itself, or with what an administrator asks of it. */
export const ofService = {
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
} as const satisfies Partial<Record<Code, Help>>
