import { type Explanation, formatRule } from '../policy/explain.ts'
import type { KnownHost, Policy } from '../policy/index.ts'
import { type Address, readBanner, scanHostKeys } from './probe.ts'

/** One thing that a login needs, as it was found; `do` says what to do about it, and who can. */
export interface Finding {
  readonly name: 'decision' | 'trust' | 'login' | 'network' | 'host key'
  /** `unknown` where nobody could be asked. */
  readonly state: 'ok' | 'bad' | 'unknown'
  readonly words: string
  readonly do?: string
}

/** A host as the service knows it (`GET /v1/hosts/{name}`), or only the policy. */
export interface Target extends Pick<KnownHost, 'name' | 'address' | 'port' | 'hostKeys'> {
  readonly trustVersion?: number
  readonly wantedVersion?: number
  readonly lastSeen?: string
  /** The logins its trust bundle opens, where it has one. */
  readonly logins?: readonly string[]
}

/** What the policy says, and whose turn it is where it says no. */
export const diagnoseDecision = (
  policy: Policy,
  { decision, advice }: Explanation,
  person: string,
): Finding => {
  const by = decision.rule === undefined ? '' : ` by ${formatRule(decision.rule)}`
  if (decision.kind === 'allow') return { name: 'decision', state: 'ok', words: `allow${by}` }
  const deciding = policy.rules.find(({ ref }) => ref.name === decision.rule?.name)
  const isAsked = deciding?.kind === 'allow'
  const who = isAsked ? person : 'An administrator of the policy'
  return {
    name: 'decision',
    state: isAsked && decision.code !== 'address_denied' ? 'ok' : 'bad',
    words: `${isAsked ? 'allow, once asked rightly' : 'deny'}${by}: ${decision.reason}`,
    do: `${who} can: ${[...advice, decision.reason][0]}`,
  }
}

/** Whether the host runs what it is told to trust by now. */
export const diagnoseTrust = ({ name, trustVersion, wantedVersion, lastSeen }: Target): Finding => {
  if (wantedVersion === undefined) {
    const words = 'no service could be asked which trust bundle the host has'
    return { name: 'trust', state: 'unknown', words }
  }
  if (trustVersion === undefined) {
    return {
      name: 'trust',
      state: 'unknown',
      words: 'the host has never reported which trust bundle it has',
      do: `Root on ${name} can: run \`postern-host doctor\` there; an administrator here: \`postern host invite ${name}\`.`,
    }
  }
  const seen = `version ${trustVersion} of ${wantedVersion}, reported ${lastSeen ?? 'at no known time'}`
  return trustVersion >= wantedVersion
    ? { name: 'trust', state: 'ok', words: seen }
    : {
        name: 'trust',
        state: 'bad',
        words: seen,
        do: `Root on ${name} can: run \`postern-host apply\` there, and \`postern-host doctor\` where that fails.`,
      }
}

/** Whether the host's bundle opens the login; nothing where no bundle is known of it. */
export const diagnoseLogin = (
  { name, trustVersion, logins }: Target,
  login: string,
): readonly Finding[] => {
  if (trustVersion === undefined || logins === undefined) return []
  if (logins.includes(login))
    return [{ name: 'login', state: 'ok', words: `its bundle opens ${login}` }]
  const more = [...logins, login].join(',')
  return [
    {
      name: 'login',
      state: 'bad',
      words: `its bundle opens ${logins.join(', ') || 'no login'}, and not ${login}`,
      do: `An administrator can: \`postern host invite ${name} --logins ${more}\`, and root there enrols it again; or name the login under the host in the policy.`,
    },
  ]
}

/** Whether an SSH server answers, and whether it is the one whose keys are pinned. */
export const diagnoseNetwork = async (
  host: Target,
  place: Address,
): Promise<readonly Finding[]> => {
  const found = await readBanner(place)
  const where = `${place.address} port ${place.port}`
  if ('fault' in found) {
    const advice = `Whoever runs ${host.name} or the network before it can: let ${where} be reached from here.`
    return [{ name: 'network', state: 'bad', words: `${where}: ${found.fault}`, do: advice }]
  }
  const reached: Finding = { name: 'network', state: 'ok', words: `${where}: ${found.banner}` }
  if (host.hostKeys.length === 0) {
    const advice = `An administrator can pin its keys: \`postern host invite ${host.name}\`.`
    const words = 'no key of this host is pinned: nobody can tell it from another'
    return [reached, { name: 'host key', state: 'unknown', words, do: advice }]
  }
  return [reached, diagnoseKeys(host, await scanHostKeys(place))]
}

const diagnoseKeys = ({ name, hostKeys }: Target, offered: readonly string[]): Finding => {
  if (offered.length === 0) {
    return { name: 'host key', state: 'unknown', words: 'it told no host key in time' }
  }
  const typeOf = (key: string) => key.split(' ')[0]
  const types = new Set(hostKeys.map(typeOf))
  const pinned = offered.filter((key) => hostKeys.includes(key))
  const others = offered.filter((key) => types.has(typeOf(key)) && !hostKeys.includes(key))
  return pinned.length > 0 && others.length === 0
    ? { name: 'host key', state: 'ok', words: `${pinned.map(typeOf).join(', ')} as pinned` }
    : {
        name: 'host key',
        state: 'bad',
        words: 'the key it offers is not the one that is pinned: it may be another machine',
        do: `Do not log in. Root on ${name} can tell whether it was set up anew; then an administrator enrols it again: \`postern host invite ${name}\`.`,
      }
}

/** One sentence: what to do and who can, by the first thing that is in the way. */
export const conclude = (findings: readonly Finding[], person: string, login: string): string => {
  const bad = findings.find(({ state }) => state === 'bad')
  if (bad !== undefined) return bad.do ?? bad.words
  const open = findings.find((finding) => finding.do !== undefined)
  if (open !== undefined) return open.do as string
  return `Nothing that can be seen from here stands in the way: ${person} can ask for a certificate as ${login} now.`
}
