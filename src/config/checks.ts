import type { z } from 'zod'
import type { Config } from '../config.ts'
import { isLoopbackHost } from '../lib/address.ts'
import { isRefusal, parseListen } from './values.ts'

/**
 * What settings say against each other. It reads the settings as they were written, so that these
 * are reported together with everything else that is wrong, not after it is mended.
 */
export const listConflicts = (value: unknown): readonly z.core.$ZodIssue[] => {
  const settings = toMap(value)
  const ca = toMap(settings['ca'])
  const found: z.core.$ZodIssue[] = []
  const report = (path: string[], message: string) =>
    found.push({ code: 'custom', path, message, input: undefined })

  const listen = parseListen((path) => path)(String(settings['listen'] ?? '127.0.0.1:8422'))
  const proxies = settings['trustedProxies'] ?? []
  if (
    !isRefusal(listen) &&
    listen.kind === 'tcp' &&
    !isLoopbackHost(listen.host) &&
    settings['tls'] === undefined &&
    Array.isArray(proxies) &&
    proxies.length === 0
  ) {
    report(
      ['listen'],
      'plain http beyond loopback would carry tokens in the clear; set tls, or name the proxies in front with trustedProxies: [10.2.0.7], or listen on 127.0.0.1',
    )
  }
  if (String(ca['userKey']).startsWith('agent:') && ca['userKeyPassphraseFile'] !== undefined) {
    report(
      ['ca', 'userKeyPassphraseFile'],
      'goes with a key file; a key in an agent is unlocked there',
    )
  }
  const { oidc } = toMap(settings['identity'])
  for (const [at, entry] of (Array.isArray(oidc) ? oidc : []).entries()) {
    const { login, audience } = toMap(entry)
    const { clientId } = toMap(login)
    if (typeof clientId === 'string' && ![audience].flat().includes(clientId)) {
      found.push({
        code: 'custom',
        path: ['identity', 'oidc', at, 'login', 'clientId'],
        message: 'is not among the audience, so the ID tokens of postern login would be refused',
        input: undefined,
      })
    }
  }
  return found
}

const toMap = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/** Audiences that say nothing of whose they are: another deployment is likely to use them too. */
const commonAudiences = ['postern', 'ssh', 'ssh-ca', 'api', 'account', 'default', 'localhost']

/** Sentences about settings that are allowed and probably not meant. */
export const listDoubts = (config: Config): readonly string[] => {
  const doubts: string[] = []
  if (['0.0.0.0', '[::]'].includes(new URL(config.publicUrl).hostname)) {
    doubts.push(
      `publicUrl is ${config.publicUrl}, which no client can call; set it to the URL they use`,
    )
  }
  for (const { issuer, audience } of config.identity.oidc) {
    for (const name of audience.filter((text) => commonAudiences.includes(text))) {
      doubts.push(
        `the audience "${name}" of ${issuer} may be another deployment's as well, and a token for one then opens the other; put this one's name into it, as ${config.publicUrl}`,
      )
    }
  }
  return doubts
}
