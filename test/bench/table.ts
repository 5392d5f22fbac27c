import type { ClientFigures, TransferFigures } from './client.ts'
import type { DeskFigures } from './desk.ts'
import type { GithubFigures } from './github.ts'
import type { Found, Growth } from './growth.ts'
import type { KrlFigures } from './krl.ts'
import type { Load } from './load.ts'
import type { PolicyFigures } from './policy.ts'
import type { ReplayFigures } from './replay.ts'

/** Rows under their titles, aligned to the right but for the first column. */
const align = (titles: readonly string[], rows: readonly (readonly string[])[]): string => {
  const cells = [titles, ...rows]
  const widths = titles.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)))
  const lines = cells.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  '),
  )
  return `${lines.join('\n')}\n`
}

const number = (value: number, digits = 0): string =>
  Number.isNaN(value) ? '–' : value.toFixed(digits)

export interface NamedLoad extends Load {
  readonly name: string
  /** What the floor cost around this load. */
  readonly floorMicros: number
  /** CPU per certificate over that of the floor. */
  readonly ratio: number
}

export const formatLoads = (loads: readonly NamedLoad[]): string =>
  align(
    [
      'load',
      'certificates/s',
      'p50 ms',
      'p99 ms',
      'CPU µs each',
      'floor µs',
      '× floor',
      'RSS MiB',
      'failed',
    ],
    loads.map((load) => [
      load.name,
      number(load.perSecond),
      number(load.p50Millis, 1),
      number(load.p99Millis, 1),
      number(load.cpuMicros),
      number(load.floorMicros),
      number(load.ratio, 2),
      number(load.rssBytes / 2 ** 20),
      String(load.failed),
    ]),
  )

export const formatDesk = (figures: readonly DeskFigures[]): string =>
  align(
    ['postern ready', 'p50 ms', 'worst ms'],
    figures.map(({ name, p50Millis, worstMillis }) => [
      name,
      number(p50Millis),
      number(worstMillis),
    ]),
  )

export const formatGithub = (delayMillis: number, figures: readonly GithubFigures[]): string =>
  align(
    [
      `GitHub answers in ${delayMillis} ms; the rule`,
      'API calls',
      'p50 ms',
      'p99 ms',
      'added p50 ms',
      'with an instant GitHub, p50 ms',
    ],
    figures.map((row) => [
      row.rule,
      number(row.calls, 1),
      number(row.p50Millis),
      number(row.p99Millis),
      number(row.p50Millis - row.instantP50Millis),
      number(row.instantP50Millis, 1),
    ]),
  )

export const formatGrowth = (growth: readonly Growth[]): string =>
  align(
    ['what grows', 'from', 'to', 'CPU µs each', 'then', 'ratio', 'ready ms', 'then', 'failed'],
    growth.map((row) => [
      row.what,
      String(row.small),
      String(row.large),
      number(row.smallMicros),
      number(row.largeMicros),
      number(row.largeMicros / row.smallMicros, 2),
      number(row.smallReadyMillis),
      number(row.largeReadyMillis),
      String(row.failed),
    ]),
  )

export const formatFound = (found: readonly Found[]): string =>
  align(
    ['newest 100 in the big log, by', 'ms', 'rows'],
    found.map(({ what, millis, rows }) => [what, number(millis), String(rows)]),
  )

export const formatKrl = (figures: readonly KrlFigures[]): string =>
  align(
    ['serials', 'how many', 'bytes', 'ms to make'],
    figures.map(({ what, serials, bytes, millis }) => [
      what,
      String(serials),
      String(bytes),
      number(millis),
    ]),
  )

export const formatPolicy = (figures: readonly PolicyFigures[]): string =>
  align(
    [
      'rules',
      'load CPU ms',
      'check CPU ms',
      'decide p50',
      'p99 ms',
      'explain p50',
      'p99 ms',
      'diff CPU ms',
    ],
    figures.map((row) => [
      String(row.rules),
      number(row.loadMillis),
      number(row.checkMillis),
      number(row.decideP50Millis, 3),
      number(row.decideP99Millis, 3),
      number(row.explainP50Millis, 2),
      number(row.explainP99Millis, 2),
      number(row.diffMillis),
    ]),
  )

export const formatReplay = (figures: readonly ReplayFigures[]): string =>
  align(
    ['policy replay', 'asks', 'refused', 'ms', 'CPU ms'],
    figures.map(({ what, asks, refused, millis, cpuMillis }) => [
      what,
      String(asks),
      String(refused),
      number(millis),
      number(cpuMillis),
    ]),
  )

export const formatClient = (
  runs: readonly ClientFigures[],
  transfers: readonly TransferFigures[],
): string =>
  `${align(
    ['the SDK beside ssh', 'SDK ms', 'ssh ms', 'ratio'],
    runs.map(({ what, sdkMillis, sshMillis }) => [
      what,
      number(sdkMillis),
      number(sshMillis),
      number(sdkMillis / sshMillis, 2),
    ]),
  )}\n${align(
    ['bytes through the SDK', 'MB', 'ms', 'CPU ms', 'exact'],
    transfers.map(({ what, bytes, millis, cpuMillis, isExact }) => [
      what,
      number(bytes / 1e6),
      number(millis),
      number(cpuMillis),
      isExact ? 'yes' : 'NO',
    ]),
  )}`
