import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCertificate } from '../../src/ssh/certificate.ts'
import { findFaketime } from '../tools.ts'
import { createAsk, createClient, createWitness, type Received } from './client.ts'
import { always, type GoesOn } from './pace.ts'
import { createDice, type Report, wait } from './report.ts'
import { createWorld, type Running } from './service.ts'

const minute = 60
const day = 86_400
/** By how much the clock may be set, and a certificate's backdating and longest ttl; seconds. */
const trustedStep = 5 * minute
const backdate = 60
const ttl = 5 * minute

/**
 * Sets the clock under a running service, and between two runs of it. A certificate is valid only
 * from a minute before to its ttl after the time it was issued at; a clock that was set by over five
 * minutes, or stands before what was issued, issues nothing until it is settled; the log stays one
 * chain in the order of its writing.
 */
export const runClock = async (options: {
  /** Clocks set at random, after those that are always tried. */
  readonly steps: number
  /** Also waits the minute after which a clock that was set forward is trusted. */
  readonly withSettling?: boolean
  readonly seed?: number
  readonly goesOn?: GoesOn
}): Promise<Report> => {
  const { steps, seed = 1, goesOn = always } = options
  const library = findFaketime()
  if (library === undefined) throw new Error('libfaketime is missing: apt-get install libfaketime')
  let offset = 0
  const now = () => Math.floor(Date.now() / 1000) + offset
  const world = await createWorld({ clock: () => new Date(Date.now() + offset * 1000) })
  const offsetFile = join(world.dir, 'offset')
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: offsetFile,
    FAKETIME_NO_CACHE: '1',
    // The clock that nobody sets stays as it is: the service must hold the other against it.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
  const set = (seconds: number) => {
    offset = seconds
    writeFileSync(offsetFile, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  }
  const client = createClient()
  const violations: string[] = []
  const received: Received[] = []
  let newest = Number.NEGATIVE_INFINITY
  const figures = { set: 0, issued: 0, refused: 0 }

  const ask = async (service: Running, isTrusted: boolean, when: string): Promise<void> => {
    const asked = createAsk(received.length)
    const token = await world.issuer.mintFor('maya', { exp: now() + day })
    const before = now()
    const answer = await client.send(service.url, token, asked)
    const after = now()
    const code = /"code":"(\w+)"/.exec(answer?.body ?? '')?.[1]
    if (answer?.status === 201) {
      figures.issued++
      newest = Math.max(newest, before)
      const { certificate } = JSON.parse(answer.body) as { readonly certificate: string }
      received.push({ ask: asked, certificate })
      const { validAfter, validBefore } = parseCertificate(certificate)
      const isInside = Number(validAfter) >= before - backdate && Number(validBefore) <= after + ttl
      if (!isInside) violations.push(`${when}: valid from ${validAfter} to ${validBefore}`)
      if (!isTrusted) violations.push(`${when}: issued`)
    } else if (answer?.status === 503 && code === 'clock_untrusted') {
      figures.refused++
      if (isTrusted) violations.push(`${when}: refused`)
    } else violations.push(`${when}: ${answer?.status} ${code}`)
  }
  const setAndAsk = async (service: Running, seconds: number): Promise<void> => {
    figures.set++
    set(seconds)
    const spare = Math.min(trustedStep - Math.abs(seconds), now() - (newest - trustedStep))
    // At the very edge a second's rounding would decide.
    if (Math.abs(spare) > 3) await ask(service, spare > 0, `the clock set by ${seconds} s`)
  }

  try {
    set(0)
    const service = await world.start({ env })
    await ask(service, true, 'at first')
    for (const seconds of [10 * minute, -10 * minute, day, -day, 4 * minute, -4 * minute]) {
      await setAndAsk(service, seconds)
      await setAndAsk(service, 0)
    }
    const dice = createDice(seed)
    for (let step = 0; step < steps && goesOn(step, steps); step++) {
      const reach = dice.pick([4 * minute, 20 * minute, 2 * day])
      await setAndAsk(service, dice.below(2 * reach) - reach)
      if (dice.isLikely(0.5)) await setAndAsk(service, 0)
    }
    set(0)
    if (options.withSettling === true) {
      set(10 * minute)
      await ask(service, false, 'ten minutes forward')
      await wait(62_000)
      await ask(service, true, 'ten minutes forward and steady for a minute')
      set(0)
      await ask(service, false, 'back again')
      await wait(62_000)
      await ask(service, false, 'back again, behind what was issued')
      set(10 * minute)
      await wait(62_000)
      await ask(service, true, 'forward again')
    }
    await service.stop()

    const ahead = offset
    set(ahead - day)
    const early = await world.start({ env })
    await ask(early, false, 'a start a day before the newest certificate')
    await early.stop()
    const accepted = await world.start({ env, args: ['--accept-clock'] })
    await ask(accepted, true, 'a start with --accept-clock')
    await accepted.stop()
    set(ahead)
    const late = await world.start({ env })
    await ask(late, true, 'a start at the right time')
    await late.stop()

    const witness = createWitness(join(world.dataDir, 'postern.db'))
    violations.push(...(await witness.read()))
    violations.push(...received.flatMap((one) => witness.judge(one) ?? []))
    return { name: 'clock', figures: { ...figures, seed }, violations }
  } finally {
    client.close()
    await world.remove()
  }
}
