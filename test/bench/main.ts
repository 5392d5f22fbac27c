/**
 * `npm run bench`: certificates per second and CPU per certificate, end to end over HTTP with the log
 * on, beside the floor measured in the same run on the same Node. Prints; asserts nothing.
 *
 *   npm run bench -- [--seconds 10] [--connections 16] [--json]
 *
 * test/bench/README.md says how each figure is made and what it does not show.
 */
import { parseArgs } from 'node:util'
import { measureFloor } from './floor.ts'
import { measureLoad } from './load.ts'
import { startService } from './service.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '1,16,64' },
    json: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const counts = values.connections.split(',').map(Number)
if (!(seconds > 0) || counts.some((count) => !Number.isInteger(count) || count < 1)) {
  process.stderr.write('usage: npm run bench -- [--seconds 10] [--connections 1,16,64] [--json]\n')
  process.exit(2)
}

const say = (line: string) => process.stderr.write(`${line}\n`)

say('floor: one ES256 verification and one Ed25519 signature, one thread …')
const floor = await measureFloor(Math.min(seconds, 5))
const service = await startService()
const rows = []
try {
  const idleRss = service.readUsage().rssBytes
  say('warming up …')
  await measureLoad(service, { connections: 16, seconds: 2 })
  for (const connections of counts) {
    say(`load: ${connections} connections for ${seconds} s, a distinct token each …`)
    rows.push({ connections, ...(await measureLoad(service, { connections, seconds })) })
  }
  const report = {
    node: process.version,
    floorMicros: floor.cpuMicros,
    idleRssMiB: idleRss / 2 ** 20,
    load: rows.map((row) => ({ ...row, ratio: row.cpuMicros / floor.cpuMicros })),
  }
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : formatTable(report))
} finally {
  await service.stop()
}

function formatTable(report: {
  readonly node: string
  readonly floorMicros: number
  readonly idleRssMiB: number
  readonly load: readonly (Awaited<ReturnType<typeof measureLoad>> & {
    readonly connections: number
    readonly ratio: number
  })[]
}): string {
  const cells = [
    [
      'connections',
      'certificates/s',
      'p50 ms',
      'p99 ms',
      'CPU µs each',
      '× floor',
      'RSS MiB',
      'failed',
    ],
    ...report.load.map((row) => [
      String(row.connections),
      row.perSecond.toFixed(0),
      row.p50Millis.toFixed(1),
      row.p99Millis.toFixed(1),
      row.cpuMicros.toFixed(0),
      row.ratio.toFixed(2),
      (row.rssBytes / 2 ** 20).toFixed(0),
      String(row.failed),
    ]),
  ]
  const widths =
    cells[0]?.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0))) ?? []
  const table = cells.map((row) => row.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('  '))
  return [
    `node ${report.node}; floor ${report.floorMicros.toFixed(0)} µs; idle RSS ${report.idleRssMiB.toFixed(0)} MiB`,
    ...table,
    '',
  ].join('\n')
}
