import type { Code } from '../../errors.ts'
import { admin, caller, type Help, policyAdmin, provider } from './words.ts'

/** What the SDK, the desk and a host have to say. */
export const ofDesk = {
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
  not_running: {
    happened: 'No postern answers where the command looked for one.',
    remedy:
      'Start it with `postern serve`, or name the right one: "--url https://HOST". On its own machine the command must run as the service’s user or as root.',
    who: admin,
  },
} as const satisfies Partial<Record<Code, Help>>
