import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createInventory } from '../../src/audit/inventory.ts'
import { openReader } from '../../src/store/index.ts'
import { fillLog, findSerial } from './fill.ts'
import { measureLoad } from './load.ts'
import { createSite, type Service, type Site, startService } from './service.ts'

export interface Growth {
  readonly what: string
  readonly small: number
  readonly large: number
  /** CPU per certificate, the median of the rounds. */
  readonly smallMicros: number
  readonly largeMicros: number
  readonly smallReadyMillis: number
  readonly largeReadyMillis: number
  readonly failed: number
}

export interface Found {
  readonly what: string
  readonly millis: number
  readonly rows: number
}

interface Options {
  readonly entries: number
  readonly seconds: number
  readonly rounds: number
  /** Of log, rules and issuers, which. */
  readonly only: readonly string[]
  readonly say: (line: string) => void
}

/**
 * The same cost per certificate with much as with little: two services, one of each kind, under load in
 * turns, so that whatever else the machine does meets both alike.
 */
export const measureGrowth = async (
  options: Options,
): Promise<{ readonly growth: readonly Growth[]; readonly found: readonly Found[] }> => {
  const { entries, only, say } = options
  const fill = async (site: Site, count: number) => {
    await fillLog(site.dataDir, count, (written) => {
      if (written % 250_000 === 0) say(`  ${written} entries of ${count} …`)
    })
  }
  const kinds = [
    {
      name: 'log',
      what: 'log entries',
      small: 1_000,
      large: entries,
      create: () => createSite(),
      fill,
    },
    {
      name: 'rules',
      what: 'rules',
      small: 10,
      large: 10_000,
      create: (rules: number) => createSite({ rules }),
    },
    {
      name: 'issuers',
      what: 'issuers',
      small: 1,
      large: 1_000,
      create: (issuers: number) => createSite({ issuers }),
    },
  ]
  const growth: Growth[] = []
  let found: readonly Found[] = []
  for (const kind of kinds.filter(({ name }) => only.includes(name))) {
    const sites: Site[] = []
    try {
      for (const size of [kind.small, kind.large]) {
        say(`${kind.what}: ${size} …`)
        const site = await kind.create(size)
        sites.push(site)
        await kind.fill?.(site, size)
      }
      growth.push(await measurePair(kind, sites as [Site, Site], options))
      if (kind.fill !== undefined) found = await measureSearches(sites[1] as Site)
    } finally {
      for (const site of sites) site.remove()
    }
  }
  return { growth, found }
}

const measurePair = async (
  kind: Pick<Growth, 'what' | 'small' | 'large'>,
  sites: readonly [Site, Site],
  { seconds, rounds, say }: Options,
): Promise<Growth> => {
  const services: Service[] = []
  try {
    for (const site of sites) {
      await buildTree(site)
      services.push(await startService(site))
    }
    const micros: number[][] = services.map(() => [])
    let failed = 0
    say(`  ${rounds} rounds of ${seconds} s each, in turns, at 16 connections …`)
    for (let round = -1; round < rounds; round++) {
      for (const [at, service] of services.entries()) {
        const load = await measureLoad(service, { connections: 16, seconds })
        failed += load.failed
        // The round before the first warms up.
        if (round >= 0) micros[at]?.push(load.cpuMicros)
      }
    }
    const [small, large] = services as [Service, Service]
    return {
      what: kind.what,
      small: kind.small,
      large: kind.large,
      smallMicros: findMedian(micros[0] ?? []),
      largeMicros: findMedian(micros[1] ?? []),
      smallReadyMillis: small.readyMillis,
      largeReadyMillis: large.readyMillis,
      failed,
    }
  } finally {
    for (const service of services) await service.stop()
  }
}

/**
 * The first start makes what later ones find: the tree over a log that was not written by a service. It is
 * made while the service serves, and is no part of what a certificate costs.
 */
const buildTree = async (site: Site): Promise<void> => {
  const service = await startService(site)
  try {
    const wanted = (await readHead(site)) ?? 0
    for (let size = 0; size < wanted; await sleep(500)) {
      const answer = await fetch(`${service.url}/v1/audit/checkpoint`)
      size = answer.ok ? Number((await answer.text()).split('\n')[1]) : 0
    }
  } finally {
    await service.stop()
  }
}

const readHead = async ({ dataDir }: Site): Promise<number | undefined> => {
  const store = await openReader(join(dataDir, 'postern.db'))
  try {
    return (await store.head())?.seq
  } finally {
    await store.close()
  }
}

const findMedian = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** How long an admin waits for the newest hundred that match, in the big log. */
const measureSearches = async (site: Site): Promise<readonly Found[]> => {
  const store = await openReader(join(site.dataDir, 'postern.db'))
  const head = await store.head()
  const [middle] = await store.read(Math.floor((head?.seq ?? 0) / 2), 1)
  const { time } = JSON.parse(middle?.body ?? '{}') as { readonly time: string }
  const filters = {
    'a host': { host: 'web-77.example.com' },
    'a person': { subject: 'u-77' },
    'a person on a host': { subject: 'u-7', host: 'web-7.example.com' },
    'a host that never was': { host: 'web-77777.example.com' },
    'a request id': { requestId: `req_${(1000).toString(16).padStart(24, '0')}` },
    'a serial': { serial: findSerial(1000) },
    'the time up to the middle': { until: time },
    'a rule': { rule: 'deploy-job' },
    'a rule that never decided': { rule: 'nothing' },
  }
  const found: Found[] = []
  for (const [what, filter] of Object.entries(filters)) {
    const start = performance.now()
    const rows = await store.find(filter, 100)
    found.push({ what, millis: performance.now() - start, rows: rows.length })
  }
  const inventory = createInventory({
    store,
    clock: () => new Date(),
    findRevoked: () => undefined,
  })
  for (const who of ['few', 'some', 'many', '77', 'nobody']) {
    const start = performance.now()
    const { items } = await inventory.list({ filter: { subject: `u-${who}` }, limit: 50 })
    const what = `a page of certificates of u-${who}`
    found.push({ what, millis: performance.now() - start, rows: items.length })
  }
  await store.close()
  return found
}
