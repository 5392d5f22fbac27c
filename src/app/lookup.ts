import { type Config, readSecret } from '../config.ts'
import { AppError } from '../errors.ts'
import { createLookup, type Lookup } from '../identity/github/lookup.ts'
import { systemClock } from '../lib/clock.ts'

/** Tokens that GitHub makes; a token of anybody else is not shown to it. */
const githubToken = /^(?:gh[opsu]_|github_pat_)[A-Za-z0-9_]{16,255}$/

/**
 * The servers' REST APIs, for whoever writes ids into a policy. `tokenFile` holds a GitHub token of
 * theirs, and is for one server alone: github.com, where several are named.
 * Codes: `invalid_config`
 */
export const openLookups = async (given: {
  readonly servers: readonly string[]
  readonly config?: Config | undefined
  readonly tokenFile?: string | undefined
}): Promise<(server: string) => Lookup> => {
  const { servers, config, tokenFile } = given
  const secret = tokenFile === undefined ? undefined : await readSecret(tokenFile)
  if (secret !== undefined && !githubToken.test(secret)) {
    throw new AppError('invalid_config', 'The file of POSTERN_TOKEN_FILE holds no GitHub token.', {
      hint: 'write one that may read the organisations (read:org) into it, or unset the variable',
    })
  }
  const owner = servers.length === 1 ? servers[0] : 'github.com'
  const lookups = new Map(
    servers.map((server) => {
      const apiUrl = findApiUrl(server, config)
      const authorization =
        secret === undefined || server !== owner ? {} : { authorization: `Bearer ${secret}` }
      return [server, createLookup({ apiUrl, ...authorization, fetch, clock: systemClock })]
    }),
  )
  return (server) => lookups.get(server) as Lookup
}

/** As the configuration has it; else where github.com, ghe.com and Enterprise Servers have theirs. */
const findApiUrl = (server: string, config: Config | undefined): string => {
  const known = config?.identity.github.find(({ apiUrl }) => {
    const { host } = new URL(apiUrl)
    return host === server || host === `api.${server}`
  })
  if (known !== undefined) return known.apiUrl
  const isHosted = server === 'github.com' || server.endsWith('.ghe.com')
  return isHosted ? `https://api.${server}` : `https://${server}/api/v3`
}
