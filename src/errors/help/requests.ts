import type { Code } from '../../errors.ts'
import { admin, caller, type Help, provider } from './words.ts'

/** What whoever sends a request can have got wrong in it. */
export const ofRequests = {
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
  untrusted_peer: {
    happened:
      'The service speaks plain HTTP here, and serves its trusted proxies only. You are connected past the proxy.',
    remedy:
      'Use the https address of the service. A proxy of your own must stand in trustedProxies.',
    who: admin,
  },
  insufficient_scope: {
    happened: 'The rule asks GitHub about a membership, and your token may not read it.',
    remedy: 'Authorise the app anew with the scope read:org, and send the new token.',
    who: provider,
  },
} as const satisfies Partial<Record<Code, Help>>
