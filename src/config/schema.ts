import { z } from 'zod'
import { filledList, strictShape } from '../lib/shape.ts'
import {
  isRefusal,
  parseApiUrl,
  parseCopy,
  parseIssuer,
  parseListen,
  parseOrigin,
  parseProxy,
  parseRate,
  parseSpan,
  parseTcp,
  parseUserKey,
  type Refusal,
} from './values.ts'

/** Every signature algorithm a token may carry; never `none`, never one with a shared secret. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

const text = z
  .string()
  .min(1, 'is empty: write a value, or leave the key out')
  .max(2048, 'is longer than 2048 characters')
  .regex(/^\P{Cc}*$/u, 'must not hold control characters')

/** Text in a form of its own, read by a function of values.ts. */
const form = <T>(parse: (text: string) => T | Refusal) =>
  text.transform((value, context): T => {
    const result = parse(value)
    if (!isRefusal(result)) return result
    context.addIssue({ code: 'custom', message: result.refused })
    return z.NEVER
  })

const oneOf = <const W extends readonly string[]>(...words: W) =>
  z.enum(words, { error: `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}` })

/** A variable is always text, so the words are read too. */
const flag = z.union(
  [z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')],
  {
    error: 'must be true or false',
  },
)

const second = 1
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/**
 * The shape of postern.yaml. `resolvePath` makes a path absolute: relative ones are relative to the
 * file's own directory. Defaults are documented on `Config`.
 */
export const createSchema = (resolvePath: (path: string) => string) => {
  const path = text.transform(resolvePath)
  const listen = form(parseListen(resolvePath))
  const rate = form(parseRate)

  const github = strictShape(
    {
      clientId: text,
      clientSecretFile: path,
      type: oneOf('oauth-app', 'github-app').default('oauth-app'),
      apiUrl: form(parseApiUrl).default('https://api.github.com'),
    },
    'github',
  )
  const oidc = strictShape(
    {
      issuer: form(parseIssuer),
      audience: z.union([text.transform((one) => [one]), filledList(text)], {
        error: 'must be an audience or a list of them, none empty',
      }),
      algorithms: filledList(oneOf(...algorithms)).default(['RS256', 'ES256', 'EdDSA']),
      groupsClaim: text.default('groups'),
      nameClaim: text.optional(),
      mfa: z
        .union(
          [
            z.strictObject({ amr: filledList(text) }).meta({ title: 'mfa' }),
            z.strictObject({ acr: filledList(text) }).meta({ title: 'mfa' }),
            z.literal('enforced'),
          ],
          { error: 'must be { amr: [mfa] }, { acr: [the values that mean it] } or enforced' },
        )
        .optional(),
      maxTokenAge: form(parseSpan(second, 30 * day)).default(hour),
      login: strictShape(
        {
          clientId: text,
          flows: filledList(oneOf('browser', 'device')).default(['browser']),
          scopes: filledList(text).default(['openid', 'profile', 'email']),
        },
        'login',
      ).optional(),
    },
    'oidc',
  )

  return strictShape(
    {
      listen: listen.default({ kind: 'tcp', host: '127.0.0.1', port: 8422 }),
      publicUrl: form(parseOrigin).optional(),
      dataDir: path.default(resolvePath('data')),
      policyDir: path.default(resolvePath('policies')),
      tls: strictShape({ cert: path, key: path }, 'tls').optional(),
      knownHostsOnly: flag.default(false),
      trustedProxies: z.array(form(parseProxy)).default([]),
      limits: strictShape(
        {
          perAddress: rate.default({ count: 600, windowSeconds: minute }),
          perIdentity: rate.default({ count: 600, windowSeconds: minute }),
          inFlight: z
            // A variable is always text, so digits are a number here.
            .union(
              [
                z.int(),
                z
                  .string()
                  .regex(/^[0-9]+$/)
                  .transform(Number),
              ],
              {
                error: 'must be a whole number',
              },
            )
            .pipe(z.int().min(1, 'must be at least 1').max(100_000, 'must be at most 100000'))
            .default(1024),
        },
        'limits',
      ).prefault({}),
      ca: strictShape(
        {
          userKey: form(parseUserKey(resolvePath)),
          userKeyPassphraseFile: path.optional(),
          agentSocket: path.optional(),
          maxTtl: form(parseSpan(second, 7 * day)).default(hour),
          backdate: form(parseSpan(second, 5 * minute)).default(minute),
        },
        'ca',
      ),
      identity: strictShape(
        {
          github: z
            .array(github)
            .superRefine(refuseTwins(({ apiUrl, clientId }) => `${apiUrl} ${clientId}`, 'client'))
            .default([]),
          oidc: z
            .array(oidc)
            .superRefine(refuseTwins(({ issuer }) => issuer, 'issuer'))
            .default([]),
        },
        'identity',
      ).prefault({}),
      audit: strictShape(
        { checkpoints: path.optional(), copy: form(parseCopy(resolvePath)).optional() },
        'audit',
      ).prefault({}),
      metrics: strictShape({ listen: form(parseTcp).optional() }, 'metrics').prefault({}),
      log: strictShape(
        { level: oneOf('debug', 'info', 'warn', 'error').default('info') },
        'log',
      ).prefault({}),
    },
    'configuration',
  )
}

export type Settings = z.output<ReturnType<typeof createSchema>>

/** Two entries for one provider could disagree, and only one of them would be in force. */
const refuseTwins =
  <T>(nameOf: (entry: T) => string, what: string) =>
  (entries: readonly T[], context: z.RefinementCtx): void => {
    const names = new Set<string>()
    entries.forEach((entry, at) => {
      const name = nameOf(entry)
      if (names.has(name)) {
        context.addIssue({
          code: 'custom',
          path: [at],
          message: `is the second entry for this ${what}; make one of them`,
        })
      }
      names.add(name)
    })
  }
