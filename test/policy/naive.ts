import type { Identity, Memberships } from '../../src/identity/index.ts'
import type { Ask } from '../../src/policy/index.ts'

/**
 * A second evaluator, written from the words of DESIGN.md section 5 alone, as simply as it can be:
 * no index, no compiled rule, nothing of src but types. Slow, and only as good as those who disagree
 * with it: where it and `evaluate` differ, one of the two is wrong.
 */
export interface NaiveQuestion {
  readonly identity: Identity
  readonly memberships: Memberships
  readonly ask: Ask
  readonly at: Date
  readonly address?: string
  readonly hasProof?: boolean
}

export interface NaiveGrant {
  readonly ttlSeconds: number
  readonly principals: readonly string[]
  readonly extensions: readonly string[]
  readonly command?: string
}

export type NaiveDecision =
  | { readonly kind: 'allow'; readonly rule: string; readonly grant: NaiveGrant }
  | { readonly kind: 'deny'; readonly rule?: string; readonly code: string }

// biome's any is not ours either: a file is whatever its author wrote.
type Value = string | number | boolean | null | undefined | readonly Value[] | NaiveMap
export interface NaiveMap {
  readonly [key: string]: Value
}

const list = (value: Value): readonly Value[] => (Array.isArray(value) ? value : [])
const map = (value: Value): NaiveMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as NaiveMap) : {}
const text = (value: Value): string => String(value)

export const seconds = (value: Value): number => {
  const [, number, unit] = /^(\d+)([smhd])$/.exec(text(value)) ?? []
  return Number(number) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit as 's']
}

const matches = (pattern: string, name: string, crossDots: boolean): boolean => {
  const any = crossDots || pattern === '*' ? '.' : '[^.]'
  const source = [...pattern]
    .map((char) => ({ '*': `${any}*`, '?': any, '.': '\\.' })[char] ?? char)
    .join('')
  return new RegExp(`^${source}$`).test(name)
}

const isPerson = (file: NaiveMap, entry: Value, question: NaiveQuestion): boolean => {
  if (entry === 'everyone') return true
  const { identity, memberships } = question
  const named = map(entry)['identities']
  if (named !== undefined) {
    return list(map(file['identities'])[text(named)]).some((one) => isPerson(file, one, question))
  }
  const github = map(entry)['github']
  if (github !== undefined) {
    const { id, org, orgId, team, teamId, app, server = 'github.com' } = map(github)
    const isOrg = (login: string, found: string): boolean =>
      (org === undefined || login === org) && (orgId === undefined || found === orgId)
    const isTeam = (one: Memberships['teams'][number]): boolean =>
      (team === undefined || `${one.org}/${one.slug}` === team) &&
      (orgId === undefined || one.orgId === orgId) &&
      (teamId === undefined || one.id === teamId)
    const isOfTeam = (team ?? teamId) !== undefined
    const isOfOrg = org !== undefined || (orgId !== undefined && !isOfTeam)
    return (
      identity.kind === 'github' &&
      identity.issuer === `https://${text(server)}` &&
      (id === undefined || identity.subject === id) &&
      (app === undefined || identity.client === app) &&
      (!isOfOrg || memberships.orgs.some(({ login, id: found }) => isOrg(login, found))) &&
      (!isOfTeam || memberships.teams.some(isTeam))
    )
  }
  const { issuer, subject, email, emailDomain, groups, claims, client } = map(map(entry)['oidc'])
  const holds = ([name, wanted]: readonly [string, Value]): boolean => {
    const values = Array.isArray(wanted) ? wanted : [wanted]
    const has = identity.claims[name]
    return values.some((value) => (Array.isArray(has) ? has.includes(value) : has === value))
  }
  return (
    identity.kind === 'oidc' &&
    identity.issuer === issuer &&
    (subject === undefined || identity.subject === subject) &&
    (email === undefined || identity.email === email) &&
    (emailDomain === undefined || identity.email?.split('@')[1] === emailDomain) &&
    (client === undefined || identity.client === client) &&
    (groups === undefined || list(groups).some((group) => identity.groups.includes(text(group)))) &&
    Object.entries(map(claims)).every(holds)
  )
}

const isHost = (file: NaiveMap, entry: Value, host: string, crossDots: boolean): boolean => {
  const { label, hostGroup } = map(entry)
  if (hostGroup !== undefined) {
    const group = list(map(file['hostGroups'])[text(hostGroup)])
    return group.some((one) => isHost(file, one, host, crossDots))
  }
  if (label === undefined) return matches(text(entry), host, crossDots)
  const [key = '', value] = text(label).split('=')
  return list(file['hosts']).some(
    (known) => map(known)['name'] === host && map(map(known)['labels'])[key] === value,
  )
}

/** In UTC alone: what the zones do to it has tests of its own. */
const isTime = (when: Value, at: Date): boolean => {
  if (when === undefined) return true
  const { since, through, days, between } = map(when)
  const clock = at.toISOString().slice(11, 16)
  const [start = '', end = ''] = text(between ?? '00:00-24:00').split('-')
  const isPast = start > end && clock < end
  if (start < end ? clock < start || clock >= end : clock < start && clock >= end) return false
  const day = new Date(at.getTime() - (isPast ? 86_400_000 : 0))
  const date = day.toISOString().slice(0, 10)
  const weekday = day.toUTCString().slice(0, 3).toLowerCase()
  return (
    (since === undefined || date >= text(since)) &&
    (through === undefined || date <= text(through)) &&
    (days === undefined || list(days).includes(weekday))
  )
}

const speaks = (file: NaiveMap, rule: NaiveMap, question: NaiveQuestion): boolean => {
  const { ask, at, identity } = question
  const isDeny = rule['deny'] !== undefined
  return (
    list(rule['who']).some((entry) => isPerson(file, entry, question)) &&
    !list(rule['except']).some((entry) => isPerson(file, entry, question)) &&
    list(rule['hosts']).some((entry) => isHost(file, entry, ask.host, isDeny)) &&
    list(rule['logins']).some((entry) => {
      const claim = map(entry)['claim']
      if (claim !== undefined) return identity.claims[text(claim)] === ask.login
      return isDeny ? matches(text(entry), ask.login, true) : entry === ask.login
    }) &&
    isTime(rule['when'], at)
  )
}

const listMissing = (rule: NaiveMap, question: NaiveQuestion): readonly string[] => {
  const { identity, ask, at, hasProof } = question
  const { mfa, reason, proof, tokenMaxAge } = map(rule['require'])
  const commands = map(rule['commands'])
  const age = (since: Date | undefined) =>
    since === undefined ? Number.POSITIVE_INFINITY : (at.getTime() - since.getTime()) / 1000
  const lacksFactor = identity.kind !== 'oidc' || !identity.mfa
  const least = Number(map(reason)['minLength'] ?? 1)
  const wanted = ask.ttlSeconds ?? seconds(rule['ttl'])
  return [
    mfa === undefined || (mfa === true && !lacksFactor) ? '' : 'mfa_required',
    tokenMaxAge === undefined || age(identity.issuedAt) <= seconds(tokenMaxAge)
      ? ''
      : 'token_too_old',
    reason === undefined || (ask.reason ?? '').trim().length >= least ? '' : 'reason_required',
    proof !== true || hasProof === true ? '' : 'proof_required',
    rule['commands'] === undefined
      ? ask.command === undefined
        ? ''
        : 'policy_denied'
      : ask.command !== undefined && Object.hasOwn(commands, ask.command)
        ? ''
        : 'command_required',
    wanted <= seconds(rule['maxTtl'] ?? rule['ttl']) ? '' : 'ttl_too_long',
  ].filter((code) => code !== '')
}

/** Seconds for which a rule goes on to speak, minute by minute. */
const countLeft = (rule: NaiveMap, at: Date, most: number): number => {
  const first = Math.floor(at.getTime() / 60_000) + 1
  for (let minute = first; minute * 60_000 < at.getTime() + most * 1000; minute++) {
    const then = new Date(minute * 60_000)
    if (!isTime(rule['when'], then)) return (then.getTime() - at.getTime()) / 1000
  }
  return most
}

/** Decides by a policy file as its YAML reads, a plain value. */
export const decideNaively = (file: NaiveMap, question: NaiveQuestion): NaiveDecision => {
  const { ask, at } = question
  const rules = list(file['rules']).map(map)
  const speaking = rules.filter((rule) => speaks(file, rule, question))
  const deny = speaking.find((rule) => rule['deny'] !== undefined)
  if (deny !== undefined) return { kind: 'deny', rule: text(deny['name']), code: 'policy_denied' }
  const [rule] = speaking
  if (rule === undefined) return { kind: 'deny', code: 'policy_denied' }
  const name = text(rule['name'])
  const [missing] = listMissing(rule, question)
  if (missing !== undefined) return { kind: 'deny', rule: name, code: missing }
  const ttl = ask.ttlSeconds ?? seconds(rule['ttl'])
  const templates = rule['principals'] === undefined ? ['{login}@{host}'] : list(rule['principals'])
  return {
    kind: 'allow',
    rule: name,
    grant: {
      ttlSeconds: countLeft(rule, at, ttl),
      principals: templates
        .map((one) => text(one).replace('{login}', ask.login).replace('{host}', ask.host))
        .sort(),
      extensions: list(rule['extensions']).map(text).sort(),
      ...(ask.command === undefined ? {} : { command: text(map(rule['commands'])[ask.command]) }),
    },
  }
}
