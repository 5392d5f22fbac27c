import { systemClock } from '../../lib/clock.ts'
import { loadPolicy } from '../../policy/load.ts'
import { type Comparison, createReplay, type Verdict } from '../../policy/replay.ts'
import { type LoggedAsk, readAsks } from '../asks.ts'
import { type Command, jsonOption } from '../command.ts'
import type { Output } from '../output.ts'
import { checkLoaded, findPolicy } from '../policies.ts'
import { parseSince, sinceOption, withLog } from '../reading.ts'

const defaultSpan = '30d'

export const policyReplay: Command = {
  name: 'policy replay',
  summary: 'decide every ask in the log again by a policy, and say which would end otherwise',
  argument: { name: '[new]', summary: 'a directory of policy files (default: policyDir)' },
  options: [
    { ...sinceOption, summary: `${sinceOption.summary} (default: ${defaultSpan})` },
    jsonOption,
  ],
  examples: ['postern policy replay policies', 'postern policy replay policies --since 90d --json'],
  run: (context, argument, { since, json }) =>
    withLog(context, async (store) => {
      const { output } = context
      const { dir, maxTtlSeconds } = await findPolicy(context, argument)
      const limit = maxTtlSeconds === undefined ? {} : { maxTtlSeconds }
      const { policy } = checkLoaded(await loadPolicy(dir, limit), dir)
      const from = parseSince(typeof since === 'string' ? since : defaultSpan) as string
      const replay = createReplay(policy)
      const findings: Finding[] = []
      let counted = 0
      let asks = 0
      const showProgress = createProgress(output, from)
      for await (const page of readAsks(store, from)) {
        for (const ask of page.asks) {
          const { comparison, verdict } = replay.add(ask.stored)
          if (comparison !== 'same') findings.push({ ...describe(ask, verdict), comparison })
        }
        counted += page.counted
        asks += page.asks.length
        showProgress(page.reached, asks)
      }
      output.progress('')
      const { counts } = replay
      const unused = replay.listUnused()
      const report = { since: from, policy: policy.sha256, asks, counts, counted, findings, unused }
      if (json === true) output.json(report)
      else print(output, report)
      return counts.refused + counts.allowed + counts.unknown > 0 ? 1 : 0
    }),
}

/** An ask that ends otherwise, or of which nobody knows. */
interface Finding {
  readonly comparison: Comparison
  readonly seq: number
  readonly time: string
  readonly person: string
  readonly login: string
  readonly host: string
  readonly before: string
  readonly after: string
}

const describe = (
  { seq, time, person, stored }: LoggedAsk,
  verdict: Verdict,
): Omit<Finding, 'comparison'> => {
  const { kind, rule, code } = stored.before
  return {
    seq,
    time,
    person,
    login: stored.ask.login,
    host: stored.ask.host,
    before: kind === 'allow' ? `allow by ${rule}` : formatRefusal(code, rule),
    after: formatVerdict(verdict),
  }
}

const formatRefusal = (code = 'denied', rule: string | undefined): string =>
  rule === undefined ? code : `${code} by ${rule}`

const formatVerdict = (verdict: Verdict): string => {
  if (verdict.kind === 'unknown') return `unknown: ${verdict.missing}`
  if (verdict.kind === 'allow') return `allow by ${verdict.rule.name}`
  return formatRefusal(verdict.code, verdict.rule?.name)
}

const barLength = 30

/** How far back in time it has come, from now to the start of the span. */
const createProgress = (output: Output, from: string) => {
  const start = Date.parse(from)
  const span = Math.max(1, systemClock().getTime() - start)
  return (reached: string, asks: number): void => {
    const done = Math.min(1, Math.max(0, 1 - (Date.parse(reached) - start) / span))
    const full = Math.round(done * barLength)
    const bar = `${'#'.repeat(full)}${'-'.repeat(barLength - full)}`
    output.progress(`[${bar}] ${Math.round(done * 100)}%, ${asks} asks`)
  }
}

/** What is said of each kind, in the order in which it is told. */
const sentences = {
  refused: 'would now be refused',
  allowed: 'would now be allowed',
  unknown: 'unknown: the log does not tell what the answer hangs on',
  moved: 'would be allowed by another rule',
  undecided:
    'were not decided then: a provider, the log or the signer failed, or issuing was frozen',
  same: 'would end as they did',
} as const satisfies Record<Comparison, string>

/** As many as a terminal is read for; `--json` has them all. */
const maxShown = 100

const print = (
  output: Output,
  report: {
    readonly since: string
    readonly asks: number
    readonly counts: Readonly<Record<Comparison, number>>
    readonly counted: number
    readonly findings: readonly Finding[]
    readonly unused: readonly {
      readonly name: string
      readonly file: string
      readonly line: number
    }[]
  },
): void => {
  const { since, asks, counts, counted, findings, unused } = report
  for (const [comparison, words] of Object.entries(sentences)) {
    const count = counts[comparison as Comparison]
    const isNews = comparison === 'refused' || comparison === 'allowed'
    if (count > 0 || isNews) output.line(`${count} of ${asks} ${words}`)
  }
  const order = Object.keys(sentences)
  const sorted = [...findings].sort(
    (a, b) => order.indexOf(a.comparison) - order.indexOf(b.comparison) || b.seq - a.seq,
  )
  output.table(
    ['what', '#', 'time', 'who', 'login@host', 'before', 'after'],
    sorted
      .slice(0, maxShown)
      .map(({ comparison, seq, time, person, login, host, before, after }) => [
        comparison,
        String(seq),
        time,
        person,
        `${login}@${host}`,
        before,
        after,
      ]),
  )
  if (sorted.length > maxShown) output.note(`${sorted.length - maxShown} more: --json has all`)
  for (const { name, file, line } of unused) {
    output.line(`rule ${name} (${file}:${line}) decides none of them`)
  }
  if (counted > 0) {
    output.note(`${counted} refusals of floods stand in the log as numbers only, and are unknown`)
  }
  output.note(`asks since ${since}`)
}
