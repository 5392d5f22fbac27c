import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLoad, createWitness, type Received } from './client.ts'
import { always, type GoesOn } from './pace.ts'
import { createDice, type Report, wait } from './report.ts'
import { createWorld, end, type Running, spawnService } from './service.ts'

/**
 * Kills the service at random instants under load, and starts it again, without a hand in between.
 * Every certificate that a client received must have exactly one entry, with its serial, key and
 * principals, in a log that verifies; the copy of the log for shippers has every entry, in order. At the
 * end it is stopped by SIGTERM under load. Each lane is a service of its own; lanes run side by side.
 */
export const runKill = async (options: {
  readonly trials: number
  readonly lanes?: number
  readonly seed?: number
  readonly goesOn?: GoesOn
}): Promise<Report> => {
  const { trials, lanes = 2, seed = 1, goesOn = always } = options
  let left = trials
  const next = () => left > 0 && goesOn(trials - left, trials) && left-- > 0
  const reports = await Promise.all(
    Array.from({ length: lanes }, (_, lane) => runLane(seed + lane, next)),
  )
  const sum = (pick: (lane: Lane) => number) =>
    reports.reduce((total, lane) => total + pick(lane), 0)
  return {
    name: 'kill',
    figures: {
      trials: trials - left,
      'killed while starting': sum(({ early }) => early),
      'certificates received': sum(({ received }) => received),
      'entries read': sum(({ entries }) => entries),
      seed,
    },
    violations: reports.flatMap(({ violations }) => violations),
  }
}

interface Lane {
  readonly early: number
  readonly received: number
  readonly entries: number
  readonly violations: readonly string[]
}

const runLane = async (seed: number, next: () => boolean): Promise<Lane> => {
  const dice = createDice(seed)
  const world = await createWorld({
    config: 'limits: { perAddress: off, perIdentity: off }\naudit: { copy: copy.jsonl }',
  })
  const witness = createWitness(join(world.dataDir, 'postern.db'))
  const violations: string[] = []
  const lane = { early: 0, received: 0 }
  let first = 0
  let pending: readonly Received[] = []
  const check = async () => {
    violations.push(...(await witness.read()))
    lane.received += pending.length
    for (const received of pending) {
      const wrong = witness.judge(received)
      if (wrong !== undefined) violations.push(wrong)
    }
    pending = []
  }
  try {
    while (next()) {
      // A token of its own for each trial: a long run outlives any of them.
      const token = await world.issuer.mintFor('maya')
      if (dice.isLikely(0.15)) {
        lane.early++
        const child = spawnService(world.dir)
        await wait(dice.below(900))
        await end(child, 'SIGKILL')
      }
      const service = await world.start()
      await check()
      const load = createLoad({ url: service.url, token, connections: 8, first })
      if (dice.isLikely(0.75)) await load.hasReceived()
      await wait(dice.below(150))
      await service.kill()
      first = await load.stop()
      pending = load.received
    }
    const service = await world.start()
    await check()
    const { received, violations: faults } = await stopUnderLoad(service, {
      token: await world.issuer.mintFor('maya'),
      first,
    })
    violations.push(...faults)
    pending = received
    await check()
    violations.push(...judgeCopy(join(world.dir, 'copy.jsonl'), witness.count()))
  } catch (error) {
    violations.push(`a start needed a hand: ${error instanceof Error ? error.message : error}`)
  } finally {
    await world.remove()
  }
  return { ...lane, entries: witness.count(), violations }
}

/** A kill may leave half a line, or a whole one that is written once more; never a gap. */
const judgeCopy = (path: string, entries: number): readonly string[] => {
  const seqs = readFileSync(path, 'utf8').split('\n').flatMap(readSeq)
  const gap = seqs.findIndex((seq, at) => seq - (seqs[at - 1] ?? 0) > 1)
  if (gap >= 0) return [`in the copy entry ${seqs[gap]} follows ${seqs[gap - 1] ?? 'nothing'}`]
  const last = seqs.at(-1) ?? 0
  return last === entries ? [] : [`the copy ends at entry ${last} of ${entries}`]
}

const readSeq = (line: string): readonly number[] => {
  try {
    return [(JSON.parse(line) as { readonly seq: number }).seq]
  } catch {
    return []
  }
}

/** How long a stop may take, in milliseconds. */
const stopWithin = 10_000

/** SIGTERM in the middle of work: what was begun is finished and on the record, or refused. */
const stopUnderLoad = async (
  service: Running,
  { token, first }: { readonly token: string; readonly first: number },
) => {
  const load = createLoad({ url: service.url, token, connections: 8, first })
  await load.hasReceived()
  const asked = performance.now()
  const code = await service.stop()
  const millis = performance.now() - asked
  await load.stop()
  const odd = [...load.statuses.keys()].filter((status) => status !== 201 && status !== 503)
  const facts: readonly (readonly [string, boolean])[] = [
    [`a stop ended with ${code}`, code === 0],
    [`a stop took ${millis} ms`, millis < stopWithin],
    [`at a stop somebody was answered ${odd.join()}`, odd.length === 0],
  ]
  return {
    received: load.received,
    violations: facts.filter(([, holds]) => !holds).map(([text]) => text),
  }
}
