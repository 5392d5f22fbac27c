/**
 * `npm run soak`: the service is killed, robbed of its disk, its power and its clock, flooded, and
 * asked at random, and the script on its hosts likewise, for as long as it is told. Ends with 1 where anything was lost.
 *
 *   npm run soak -- [--minutes 60] [--only kill,power,disk,clock,overload,property,hosts] [--seed 1] [--json]
 *
 * test/soak/README.md says what each run does and what it does not show.
 */
import { parseArgs } from 'node:util'
import { ensurePackages } from '../tools.ts'
import { runClock } from './clock.ts'
import { runDisk } from './disk.ts'
import { runHosts } from './hosts.ts'
import { runKill } from './kill.ts'
import { runOverload } from './overload.ts'
import { createPace, type GoesOn, type Pace } from './pace.ts'
import { runPower } from './power.ts'
import { runProperty } from './property.ts'
import type { Report } from './report.ts'

interface Given {
  readonly seed: number
  readonly goesOn: GoesOn
}

/** Each run at its full size, and its share of the time where all of them run. */
const runs: Readonly<
  Record<string, { readonly share: number; readonly run: (given: Given) => Promise<Report> }>
> = {
  kill: { share: 0.5, run: (given) => runKill({ trials: 2_000, ...given }) },
  power: {
    share: 0.1,
    run: (given) => runPower({ certificates: 1_500, cuts: 4, images: 2_000, ...given }),
  },
  disk: { share: 0.03, run: () => runDisk({ broken: 5_000, withStall: true }) },
  clock: { share: 0.07, run: (given) => runClock({ steps: 1_000, withSettling: true, ...given }) },
  overload: { share: 0.05, run: () => runOverload({ seconds: 20, idle: 10_000, slow: 1_000 }) },
  hosts: { share: 0.4, run: (given) => runHosts({ trials: 1_000, ...given }) },
  property: { share: 0.25, run: (given) => runProperty({ requests: 1_000_000, ...given }) },
}

const usage = `usage: npm run soak -- [--minutes 60] [--only ${Object.keys(runs).join()}] [--seed 1] [--json]\n`
const refuse = (problem: string): never => {
  process.stderr.write(`${problem}\n${usage}`)
  process.exit(2)
}

const readValues = () => {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '60' },
        only: { type: 'string', default: Object.keys(runs).join() },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    return refuse((error as Error).message)
  }
}
const values = readValues()
if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}
const minutes = Number(values.minutes)
const seed = Number(values.seed)
const names = values.only.split(',')
if (!(minutes > 0)) refuse(`--minutes is a number above 0, not ${values.minutes}`)
if (!Number.isInteger(seed)) refuse(`--seed is a whole number, not ${values.seed}`)
for (const name of names) if (!Object.hasOwn(runs, name)) refuse(`there is no run called ${name}`)

await ensurePackages(
  ['curl', 'openssh-client', 'openssh-server', 'strace', 'libfaketime'],
  (line) => process.stderr.write(`${line}\n`),
)
const chosen = names.flatMap((name) => (runs[name] === undefined ? [] : [{ name, ...runs[name] }]))
const whole = chosen.reduce((sum, { share }) => sum + share, 0)
const reports: Report[] = []
let pace: Pace | undefined
let isEnded = false
process.once('SIGTERM', () => {
  isEnded = true
  pace?.end()
})
for (const { name, share, run } of chosen) {
  if (isEnded) break
  const within = (minutes * 60_000 * share) / whole
  const say = (line: string) => process.stderr.write(`${name}: ${line}\n`)
  say(
    `begun, for ${Math.ceil(within / 60_000)} min at the longest; kill ${process.pid} ends it sooner, with its verdict`,
  )
  pace = createPace({ within, say })
  const report = await run({ seed, goesOn: pace.goesOn })
  reports.push(report)
  if (!values.json) process.stdout.write(formatReport(report))
}
if (values.json) process.stdout.write(`${JSON.stringify(reports)}\n`)
process.exitCode = reports.every(({ violations }) => violations.length === 0) ? 0 : 1

function formatReport({ name, figures, violations }: Report): string {
  const lines = [
    `${name}: ${violations.length} violations`,
    ...Object.entries(figures).map(([what, count]) => `  ${what}: ${count}`),
    ...violations.slice(0, 20).map((text) => `  VIOLATION ${text}`),
  ]
  return `${lines.join('\n')}\n`
}
