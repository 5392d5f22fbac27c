import type { Host } from './index.ts'

export const standings = ['current', 'behind', 'silent', 'never seen'] as const

/** How a host stands: with the newest bundle, with an older one, or unheard of for a while. */
export type Standing = (typeof standings)[number]

/** Hosts report every five minutes: after three that did not come, one is silent. */
const silentMillis = 15 * 60_000

/** @param wanted the version its bundle has by now. */
export const findStanding = (
  { trustVersion, lastSeen }: Pick<Host, 'trustVersion' | 'lastSeen'>,
  wanted: number,
  at: Date,
): Standing => {
  if (trustVersion === undefined || lastSeen === undefined) return 'never seen'
  if (at.getTime() - Date.parse(lastSeen) > silentMillis) return 'silent'
  return trustVersion >= wanted ? 'current' : 'behind'
}

/** A host, and the version of the bundle it should have by now. */
export type Wanting = Host & { readonly wantedVersion: number }

const shown = 5

/**
 * In a sentence: `97 of 98 hosts have the newest trust bundle; db-3 last seen 4 h ago.` Of hosts that
 * the policy lists and that never reported nothing is expected, so they are told beside it.
 */
export const formatSummary = (hosts: readonly Wanting[], at: Date): string => {
  const expected = hosts.filter((host) => host.source === 'enrolled' || host.lastSeen !== undefined)
  const late = expected.filter((host) => (host.trustVersion ?? -1) < host.wantedVersion)
  const others = hosts.length - expected.length
  const have = `${expected.length - late.length} of ${expected.length} hosts have the newest trust bundle`
  const names = late.slice(0, shown).map((host) => `${host.name} ${describeSeen(host, at)}`)
  const more = late.length > shown ? [`${late.length - shown} more`] : []
  const listed =
    others === 0
      ? []
      : [`${others} that the policy lists ${others === 1 ? 'has' : 'have'} never reported`]
  return `${[have, ...names, ...more, ...listed].join('; ')}.`
}

const describeSeen = ({ lastSeen }: Host, at: Date): string =>
  lastSeen === undefined ? 'never seen' : `last seen ${formatAge(Date.parse(lastSeen), at)} ago`

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** `4 h`: in the largest unit of which there is one whole. */
export const formatAge = (since: number, at: Date): string => {
  const seconds = Math.max(0, Math.floor((at.getTime() - since) / 1000))
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? ['s', 1]
  return `${Math.floor(seconds / size)} ${unit}`
}
