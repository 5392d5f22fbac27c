import { encodeUtf8 } from '../../src/lib/bytes.ts'
import { diffPolicies } from '../../src/policy/diff.ts'
import { explain } from '../../src/policy/explain.ts'
import { listPolicyFindings } from '../../src/policy/findings/index.ts'
import type { Policy, Question } from '../../src/policy/index.ts'
import { type PolicyResult, parsePolicy } from '../../src/policy/parse.ts'

const issuer = 'https://idp.example.com'
const rulesPerFile = 1000

/** Three kinds of hosts in turn: a name, a pattern that begins in its own way, one that does not. */
const hostOf = (at: number) => [`web-${at}`, `web-${at}-*`, `*-${at}.example.com`][at % 3] as string

/** One rule in ten denies; one in ten has a time. */
const formatRule = (at: number): string => {
  const who = `who: [{ oidc: { issuer: "${issuer}", groups: [group-${at % 500}, group-${(at * 7) % 500}] } }]`
  const when = at % 10 === 5 ? ', when: { between: "08:00-18:00", zone: Europe/Berlin }' : ''
  const kind = at % 10 === 9 ? 'deny: not here, logins: [root]' : 'logins: [deploy, root], ttl: 5m'
  return `  - { name: rule-${at}, ${who}, hosts: ["${hostOf(at)}"], ${kind}${when} }\n`
}

const createFiles = (count: number, changed = -1): Readonly<Record<string, Uint8Array>> =>
  Object.fromEntries(
    Array.from({ length: Math.ceil(count / rulesPerFile) }, (_, file) => {
      const first = file * rulesPerFile
      const lines = Array.from({ length: Math.min(rulesPerFile, count - first) }, (_, line) => {
        const rule = formatRule(first + line)
        return first + line === changed ? rule.replace('hosts: [', 'hosts: ["new-*", ') : rule
      })
      return [`f${String(file).padStart(3, '0')}.yaml`, encodeUtf8(`rules:\n${lines.join('')}`)]
    }),
  )

type Loaded = Extract<PolicyResult, { readonly ok: true }>

const load = (files: Readonly<Record<string, Uint8Array>>): Loaded => {
  const result = parsePolicy(files)
  if (!result.ok) throw new Error(JSON.stringify(result.problems[0]))
  return result
}

const createQuestions = (count: number): readonly Question[] =>
  Array.from({ length: 1000 }, (_, at) => {
    const number = (at * 7919) % count
    const host = hostOf(number).replace('*', 'x')
    return {
      identity: {
        kind: 'oidc',
        issuer,
        subject: 'u-1',
        name: 'maya',
        groups: [`group-${number % 500}`, 'group-x'],
        claims: {},
        mfa: true,
      },
      memberships: { orgs: [], teams: [] },
      // One in five is about a host of no rule.
      ask: { host: at % 5 === 0 ? `mail-${at}` : host, login: at % 2 === 0 ? 'deploy' : 'root' },
      at: new Date('2026-11-24T12:00:00Z'),
    }
  })

const measure = (runs: number, work: (at: number) => unknown): readonly number[] => {
  for (let at = 0; at < Math.min(runs, 100); at++) work(at)
  const times = Array.from({ length: runs }, (_, at) => {
    const started = performance.now()
    work(at)
    return performance.now() - started
  })
  return times.toSorted((a, b) => a - b)
}

const quantile = (times: readonly number[], part: number): number =>
  times[Math.min(times.length - 1, Math.floor(times.length * part))] as number

const rounds = 5

/** The least CPU time of the rounds, of all threads: the collector's too, whatever else runs. In ms. */
const time = <T>(work: () => T): readonly [number, T] => {
  const runs = Array.from({ length: rounds }, () => {
    const before = process.cpuUsage()
    const result = work()
    const { user, system } = process.cpuUsage(before)
    return [(user + system) / 1000, result] as const
  })
  return runs.toSorted(([a], [b]) => a - b)[0] as readonly [number, T]
}

export interface PolicyFigures {
  readonly rules: number
  /** CPU time, as of `checkMillis` and `diffMillis`; the rest is by the clock on the wall. */
  readonly loadMillis: number
  readonly checkMillis: number
  readonly decideP50Millis: number
  readonly decideP99Millis: number
  readonly explainP50Millis: number
  readonly explainP99Millis: number
  /** One rule of them changed. */
  readonly diffMillis: number
}

const measureSize = (rules: number): PolicyFigures => {
  const files = createFiles(rules)
  const [loadMillis, loaded] = time(() => load(files))
  const at = new Date('2026-11-24T12:00:00Z')
  const [checkMillis] = time(() => listPolicyFindings(loaded, { at }))
  const policy: Policy = loaded.policy
  const questions = createQuestions(rules)
  const ask = (index: number) => questions[index % questions.length] as Question
  const decisions = measure(10_000, (index) => policy.evaluate(ask(index)))
  const explanations = measure(rules > 1000 ? 100 : 1000, (index) => explain(policy, ask(index)))
  const changed = load(createFiles(rules, rules >> 1))
  const [diffMillis] = time(() => diffPolicies(loaded, changed))
  return {
    rules,
    loadMillis,
    checkMillis,
    decideP50Millis: quantile(decisions, 0.5),
    decideP99Millis: quantile(decisions, 0.99),
    explainP50Millis: quantile(explanations, 0.5),
    explainP99Millis: quantile(explanations, 0.99),
    diffMillis,
  }
}

/** What a policy costs, and how that grows with its rules. */
export const measurePolicy = (
  sizes: readonly number[] = [10, 100, 1000, 10_000],
): readonly PolicyFigures[] => sizes.map(measureSize)
