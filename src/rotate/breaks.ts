import type { Alive } from '../audit/keys.ts'
import type { RingKey } from '../ca/rotation.ts'
import type { Host } from '../hosts/index.ts'
import { formatTime } from '../lib/clock.ts'

const daySeconds = 24 * 3600

/**
 * The hosts that do not trust a key yet: those that reported within a day in sentences, and the names
 * of the others, of which nobody knows.
 */
export const listBehind = (given: {
  readonly hosts: readonly Host[]
  readonly hasApplied: (host: Host, seq: number) => boolean
  readonly key: Pick<RingKey, 'seq'>
  readonly at: Date
}): { readonly breaks: readonly string[]; readonly silent: readonly string[] } => {
  const { hosts, hasApplied, key, at } = given
  const day = formatTime(new Date(at.getTime() - daySeconds * 1000))
  const behind = hosts.filter((host) => !hasApplied(host, key.seq))
  const isSilent = ({ lastSeen }: Host) => lastSeen === undefined || lastSeen < day
  return {
    breaks: behind
      .filter((host) => !isSilent(host))
      .map(
        ({ name, lastSeen }) =>
          `${name} does not trust it yet (seen ${lastSeen}): it refuses new certificates until it does.`,
      ),
    silent: behind.filter(isSilent).map(({ name }) => name),
  }
}

/** Hosts that a refusal names one by one. */
const mostNamed = 20

/** And as many as an entry names. */
const mostRecorded = 200

/** What a step breaks, as its entry has it. */
export const cutBreaks = (breaks: readonly string[]): readonly string[] =>
  cutList(breaks, mostRecorded)

const cutList = (lines: readonly string[], most: number): readonly string[] =>
  lines.length <= most ? lines : [...lines.slice(0, most), `And ${lines.length - most} more.`]

/** Why a key is not activated, host by host. */
export const formatBehind = (breaks: readonly string[]): string =>
  [
    `Of the hosts that reported within a day, ${breaks.length} ${breaks.length === 1 ? 'does' : 'do'} not trust the key yet: wait, or force it.`,
    ...cutList(breaks, mostNamed),
  ].join('\n')

/** Why a key is not removed. */
export const formatAlive = ({ count, people, until }: Alive): string =>
  count === 1
    ? `The key has a certificate that is alive until ${until}.`
    : `The key has ${count} certificates alive, of ${people} ${people === 1 ? 'person' : 'people'}, the last until ${until}.`
