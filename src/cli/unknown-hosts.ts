import type { AskedHost } from '../app.ts'
import type { Context, Option, Options } from './command.ts'
import { parseSince, withLog } from './reading.ts'

export const unknownOption: Option = {
  flags: '--unknown',
  summary: 'instead: hosts on no list that certificates were asked for, from the log',
}

/** Hosts that were asked for and stand on no list: what `knownHostsOnly: true` would refuse. */
export const listUnknownHosts = (context: Context, options: Options): Promise<number> =>
  withLog(context, async (store, config) => {
    const { findUnknownHosts } = await import('../app.ts')
    const since = parseSince(String(options['since'] ?? '30d'))
    const found: readonly AskedHost[] = await findUnknownHosts({ config, store, since })
    const { output } = context
    if (options['json'] === true) output.json({ since, hosts: found })
    else {
      output.table(
        ['host', 'allowed', 'refused', 'last asked for'],
        found.map(({ host, allowed, refused, last }) => [
          host,
          String(allowed),
          String(refused),
          last,
        ]),
      )
      if (found.length === 0) output.note(`every host asked for since ${since} is on the list`)
    }
    return found.length === 0 ? 0 : 1
  })
