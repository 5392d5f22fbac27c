import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fillLog } from './fill.ts'
import { createSite, type Site } from './service.ts'

export interface ReplayFigures {
  readonly what: string
  readonly asks: number
  /** That would end otherwise. */
  readonly refused: number
  /** From the start of the process to its end; the quickest of the rounds, and its CPU time. */
  readonly millis: number
  readonly cpuMillis: number
}

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** A thousand rules; the one that decided every ask of the log stands in the middle, if at all. */
const formatRules = (host: string): string => {
  const who = 'who: [{ oidc: { issuer: https://idp.example.com, groups: [platform] } }]'
  const rules = Array.from({ length: 1000 }, (_, at) => {
    const [name, hosts] = at === 500 ? ['deploy-job', host] : [`other-${at}`, `db-${at}-*`]
    return `  - { name: ${name}, ${who}, hosts: ["${hosts}"], logins: [deploy], ttl: 5m }\n`
  })
  return `rules:\n${rules.join('')}`
}

const policies = {
  'nothing ends otherwise': formatRules('web-*.example.com'),
  'web-1… are left out': formatRules('web-*.example.com').replace(
    '"web-*.example.com"',
    [0, 2, 3, 4, 5, 6, 7, 8, 9].map((first) => `"web-${first}*.example.com"`).join(', '),
  ),
  'every ask would be refused': formatRules('mail-*.example.com'),
}

/** `postern policy replay` as a process of its own, over a log of so many certificates. */
export const measureReplay = async (asks: number): Promise<readonly ReplayFigures[]> => {
  const site = await createSite()
  try {
    await fillLog(site.dataDir, asks, () => {})
    return Object.entries(policies).map(([what, text]) => {
      const rounds = Array.from({ length: 3 }, () => replay(site, text))
      const best = rounds.toSorted((a, b) => a.millis - b.millis)[0] as (typeof rounds)[number]
      return { what, ...best }
    })
  } finally {
    site.remove()
  }
}

const replay = ({ dir }: Site, text: string): Omit<ReplayFigures, 'what'> => {
  mkdirSync(join(dir, 'new'), { recursive: true })
  writeFileSync(join(dir, 'new', 'a.yaml'), text)
  const config = join(dir, 'postern.yaml')
  const argv = [main, 'policy', 'replay', join(dir, 'new'), '--since', '3650d', '--config', config]
  const before = readChildren()
  const started = performance.now()
  const { stdout } = spawnSync(process.execPath, [...argv, '--json'], { maxBuffer: 2 ** 30 })
  const millis = performance.now() - started
  const { asks, counts } = JSON.parse(stdout.toString()) as {
    readonly asks: number
    readonly counts: { readonly refused: number }
  }
  return { asks, refused: counts.refused, millis, cpuMillis: readChildren() - before }
}

/** CPU time of the processes that were started and have ended, in milliseconds (proc(5), cutime and cstime). */
const readChildren = (): number => {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(13, 15)
  return (Number(user) + Number(system)) * 10
}
