import { resolve } from 'node:path'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import { formatProblem } from '../lib/yaml.ts'
import type { Surroundings } from '../policy/findings/index.ts'
import type { PolicyResult } from '../policy/parse.ts'
import { type Context, type Option, readConfig } from './command.ts'

// The directories of policy files that commands work with.

/** A policy that has loaded. */
export type Loaded = Extract<PolicyResult, { readonly ok: true }>

/** Where the policy is, and what of the configuration it is measured by. */
export interface PolicyPlace {
  readonly dir: string
  readonly maxTtlSeconds?: number
  readonly providers?: NonNullable<Surroundings['providers']>
  readonly config?: Config
}

/** Whether a configuration was named; one that only lies here by its usual name is not. */
export const isConfigured = ({ configFile, env }: Context): boolean =>
  configFile !== undefined || env['POSTERN_CONFIG'] !== undefined

/**
 * A directory that is named needs no configuration; where there is one, its `ca.maxTtl` counts, and
 * its providers are those there are.
 */
export const findPolicy = async (
  context: Context,
  argument: string | undefined,
): Promise<PolicyPlace> => {
  if (argument !== undefined && !isConfigured(context))
    return { dir: resolve(context.cwd, argument) }
  const config = await readConfig(context)
  const { policyDir, ca, identity } = config
  const { github, oidc } = identity
  return {
    config,
    dir: argument === undefined ? policyDir : resolve(context.cwd, argument),
    maxTtlSeconds: ca.maxTtlSeconds,
    // `serve` refuses to start without a provider: until there is one, nothing can be compared.
    ...(github.length + oidc.length === 0
      ? {}
      : {
          providers: {
            issuers: oidc.map(({ issuer }) => issuer),
            servers: github.map(({ apiUrl }) => findServer(apiUrl)),
          },
        }),
  }
}

/** What `server` of a rule is for an API's URL: github.com and ghe.com have theirs beside it. */
export const findServer = (apiUrl: string): string =>
  new URL(apiUrl).host.replace(/^api\.(?=github\.com$|[^.]+\.ghe\.com$)/, '')

/** `1 rule`, `2 rules`. */
export const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`

/** @throws AppError `invalid_policy` with every problem, each with its file and line. */
export const checkLoaded = (result: PolicyResult, dir: string): Loaded => {
  if (result.ok) return result
  throw new AppError('invalid_policy', result.problems.map(formatProblem).join('\n'), {
    hint: `postern policy check ${dir}`,
  })
}

export const timeOption: Option = {
  flags: '--at <time>',
  summary: 'at this time, as 2026-11-22T10:00:00Z (default: now)',
  check: (text) =>
    parseTime(text) === undefined ? 'Write a time as 2026-11-22T10:00:00Z.' : undefined,
}

export const parseTime = (text: string): Date | undefined => {
  const at = new Date(text)
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text)
  return isTime && !Number.isNaN(at.getTime()) ? at : undefined
}
