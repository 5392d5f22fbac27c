/**
 * `npm run bench`: certificates per second and CPU per certificate, end to end over HTTP with the log
 * on, beside the floor measured in the same run on the same Node. Prints; asserts nothing.
 *
 *   npm run bench -- [--seconds 10] [--connections 1,16,64] [--warm-up 10] [--tls] [--json]
 *   npm run bench -- --growth [--entries 1000000] [--seconds 5] [--rounds 3] [--only log,rules,issuers] [--json]
 *   npm run bench -- --policy [--json]
 *   npm run bench -- --replay [--asks 100000] [--json]
 *   npm run bench -- --krl [--json]
 *   npm run bench -- --client [--commands 200] [--bytes 100000000] [--json]
 *   npm run bench -- --desk [--rounds 20] [--json]
 *   npm run bench -- --polls [--seconds 10] [--json]
 *   npm run bench -- --against URL [--adapter FILE] [--pid PID] [--issuer-port 9000] [--json]
 *
 * README.md beside this says how each figure is made and what it does not show.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startBare } from './bare.ts'
import { measureClient } from './client.ts'
import { measureDesk } from './desk.ts'
import { measureDisk, measureFloor } from './floor.ts'
import { measureGithub } from './github.ts'
import { measureGrowth } from './growth.ts'
import { startIssuers } from './issuer.ts'
import { measureKrl, measureRefusal } from './krl.ts'
import { type Load, measureLoad, measureRate } from './load.ts'
import { measurePolicy } from './policy.ts'
import { measurePolls } from './polls.ts'
import { measureReplay } from './replay.ts'
import { createSite, type Site, startService } from './service.ts'
import {
  formatClient,
  formatDesk,
  formatFound,
  formatGithub,
  formatGrowth,
  formatKrl,
  formatLoads,
  formatPolicy,
  formatReplay,
  type NamedLoad,
} from './table.ts'
import { type Adapter, readProcess, type Target } from './target.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    connections: { type: 'string', default: '1,16,64' },
    'warm-up': { type: 'string', default: '10' },
    tls: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    policy: { type: 'boolean', default: false },
    replay: { type: 'boolean', default: false },
    asks: { type: 'string', default: '100000' },
    krl: { type: 'boolean', default: false },
    client: { type: 'boolean', default: false },
    commands: { type: 'string', default: '200' },
    bytes: { type: 'string', default: '100000000' },
    desk: { type: 'boolean', default: false },
    polls: { type: 'boolean', default: false },
    entries: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'log,rules,issuers' },
    against: { type: 'string' },
    adapter: { type: 'string', default: `${import.meta.dirname}/adapters/postern.ts` },
    pid: { type: 'string' },
    'issuer-port': { type: 'string', default: '0' },
    key: { type: 'string' },
  },
})
const seconds = Number(values.seconds ?? (values.growth ? 5 : 10))
const connections = values.connections.split(',').map(Number)
const [entries, rounds, asks] = [values.entries, values.rounds, values.asks].map(Number) as [
  number,
  number,
  number,
]
const isWhole = (value: number) => Number.isInteger(value) && value > 0
const warmUp = Number(values['warm-up'])
if (!(seconds > 0) || !(warmUp > 0) || ![...connections, entries, rounds, asks].every(isWhole)) {
  process.stderr.write('usage: the head of test/bench/main.ts lists the options\n')
  process.exit(2)
}

const say = (line: string) => process.stderr.write(`${line}\n`)
const print = (report: object, table: string) =>
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : table)

/** The floor beside each load, before it and after it: what else the machine does changes by the second. */
const besideFloor = async (name: string, run: () => Promise<Load>): Promise<NamedLoad> => {
  const before = await measureFloor(1)
  const load = await run()
  const after = await measureFloor(1)
  const floorMicros = (before.cpuMicros + after.cpuMicros) / 2
  return { name, ...load, floorMicros, ratio: load.cpuMicros / floorMicros }
}

const warmUpTarget = (target: Target) => {
  say(`warming up for ${warmUp} s …`)
  return measureLoad(target, { connections: 16, seconds: warmUp })
}

/** The loads in turn, after a warm-up. */
const measureTarget = async (target: Target): Promise<readonly NamedLoad[]> => {
  await warmUpTarget(target)
  const loads: NamedLoad[] = []
  for (const count of connections) {
    say(`${count} connections for ${seconds} s, a distinct token each …`)
    const run = () => measureLoad(target, { connections: count, seconds })
    loads.push(await besideFloor(`${count} connections`, run))
  }
  const perSecond = 50
  say(`${perSecond} a second for ${seconds} s …`)
  const run = () => measureRate(target, { perSecond, seconds: Math.ceil(seconds) })
  loads.push(await besideFloor(`${perSecond} a second`, run))
  return loads
}

/** The mean of all that the floor was measured at, as the last row. */
const withFloor = (loads: readonly NamedLoad[]): readonly NamedLoad[] => {
  const micros = loads.reduce((sum, { floorMicros }) => sum + floorMicros, 0) / loads.length
  const none = Number.NaN
  const unknown = { p50Millis: none, p99Millis: none, rssBytes: none, failed: 0 }
  const cost = { perSecond: 1_000_000 / micros, cpuMicros: micros, floorMicros: micros, ratio: 1 }
  return [...loads, { name: 'the floor, one thread', ...cost, ...unknown }]
}

/** The least that HTTP adds to the floor on this Node. */
const measureBare = async (site: Site): Promise<readonly NamedLoad[]> => {
  say('node:http that verifies and signs, and nothing else …')
  const bare = await startBare(site)
  try {
    await warmUpTarget(bare)
    const loads: NamedLoad[] = []
    for (const count of [1, 16]) {
      const run = () => measureLoad(bare, { connections: count, seconds })
      loads.push(await besideFloor(`bare node:http, ${count} connections`, run))
    }
    return loads
  } finally {
    bare.stop()
  }
}

if (values.client) {
  say('the SDK and ssh, in turns …')
  const given = { commands: Number(values.commands), bytes: Number(values.bytes) }
  const { runs, transfers } = await measureClient(given)
  print({ node: process.version, runs, transfers }, formatClient(runs, transfers))
} else if (values.policy) {
  const policy = measurePolicy()
  print({ node: process.version, policy }, formatPolicy(policy))
} else if (values.replay) {
  say(`a log of ${asks} certificates, replayed three times by each of three policies …`)
  const replays = await measureReplay(asks)
  print({ node: process.version, replays }, formatReplay(replays))
} else if (values.krl) {
  const krl = measureKrl()
  const intervalMillis = 5000
  say(`revoke to refusal by a real sshd, which asks every ${intervalMillis} ms by its script …`)
  const refusedMillis = await measureRefusal(intervalMillis)
  print(
    { node: process.version, krl, intervalMillis, refusedMillis },
    `${formatKrl(krl)}refused by sshd after ${refusedMillis.toFixed(0)} ms, at a poll every ${intervalMillis} ms\n`,
  )
} else if (values.desk) {
  const desk = await measureDesk(rounds)
  print({ node: process.version, desk }, formatDesk(desk))
} else if (values.polls) {
  const polls = await measurePolls(seconds)
  print(
    { node: process.version, polls },
    `${polls.hosts} hosts' polls answered 304: ${Math.round(polls.perSecond)}/s, ${Math.round(polls.cpuMicros)} µs of CPU each (target 5,000/s); over HTTP ${Math.round(polls.overHttp.perSecond)}/s, ${Math.round(polls.overHttp.cpuMicros)} µs of CPU each\n`,
  )
} else if (values.growth) {
  const { growth, found } = await measureGrowth({
    entries,
    seconds,
    rounds,
    only: values.only.split(','),
    say,
  })
  print(
    { node: process.version, growth, found },
    `${formatGrowth(growth)}${found.length === 0 ? '' : `\n${formatFound(found)}`}`,
  )
} else if (values.against !== undefined) {
  await measureOther(values.against)
} else {
  await measureOurs()
}

async function measureOurs(): Promise<void> {
  const delayMillis = 100
  const site = await createSite({ isTls: values.tls })
  const service = await startService(site)
  try {
    const idleRss = service.readUsage().rssBytes
    const diskMillis = measureDisk(site.dir)
    const loads = withFloor([...(await measureTarget(service)), ...(await measureBare(site))])
    say(`beside a GitHub that answers in ${delayMillis} ms …`)
    const github = await measureGithub({ delayMillis, seconds: Math.min(5, Math.ceil(seconds)) })
    print(
      { node: process.version, idleRssMiB: idleRss / 2 ** 20, diskMillis, loads, github },
      `node ${process.version}; ${service.url}; idle RSS ${(idleRss / 2 ** 20).toFixed(0)} MiB; ready in ${service.readyMillis.toFixed(0)} ms; a write and its fsync ${diskMillis.toFixed(2)} ms\n${formatLoads(loads)}\n${formatGithub(delayMillis, github)}`,
    )
  } finally {
    await service.stop()
    site.remove()
  }
}

/** Another server, that takes the tokens of our issuer: the first line says what it must trust. */
async function measureOther(url: string): Promise<void> {
  const { adapter } = (await import(pathToFileURL(resolve(values.adapter)).href)) as {
    readonly adapter: Adapter
  }
  const issuers = await startIssuers(1, Number(values['issuer-port']))
  say(`the server must take tokens of ${issuers.urls[0]} for the audience postern-bench`)
  const site = values.key === undefined ? await createSite() : undefined
  const keyFile = values.key ?? `${site?.dir}/id.pub`
  const pid = values.pid === undefined ? undefined : Number(values.pid)
  try {
    const target: Target = {
      url: url.replace(/\/$/, ''),
      adapter,
      publicKey: readFileSync(keyFile, 'utf8').trim(),
      mintTokens: issuers.mintTokens,
      readUsage: () => (pid === undefined ? undefined : readProcess(pid)),
    }
    const loads = withFloor(await measureTarget(target))
    print(
      { node: process.version, against: url, loads },
      `node ${process.version}; ${url}\n${formatLoads(loads)}`,
    )
  } finally {
    issuers.close()
    site?.remove()
  }
}
