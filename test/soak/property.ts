import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { build } from '../../src/app.ts'
import { parseEntry } from '../../src/audit/entry.ts'
import { loadConfig } from '../../src/config.ts'
import { isEqual } from '../../src/lib/bytes.ts'
import { createLogger } from '../../src/lib/log.ts'
import { type Certificate, type Option, parseCertificate } from '../../src/ssh/certificate.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { openReader } from '../../src/store/index.ts'
import { createLines } from '../ca/keys.ts'
import { run } from '../fakes/process.ts'
import { createRandomAsk, formatPolicy, granted, people, type RandomAsk, users } from './asks.ts'
import { always, type GoesOn } from './pace.ts'
import { createDice, type Report } from './report.ts'
import { createWorld } from './service.ts'

/** sshpk brings no types; this is all that is asked of it here. */
const sshpk = createRequire(import.meta.url)('sshpk') as {
  parseCertificate(
    text: string,
    format: 'openssh',
  ): {
    readonly serial: Buffer
    readonly subjects: readonly { readonly uid?: string }[]
    readonly signatures: { readonly openssh: { readonly keyId: string } }
  }
}

/** How many asks are in flight, and how many certificates ssh-keygen reads at a time. */
const inFlight = 64
const batchSize = 1_000

interface Given {
  readonly ask: RandomAsk
  readonly text: string
  readonly parsed: Certificate
}

/**
 * Random asks against the whole service in this process, over the real store and key file. Every
 * certificate is read by ssh-keygen, by our own parser and by sshpk, and held against the policy as
 * asks.ts says it again by hand; whatever is no certificate must be a plain refusal.
 */
export const runProperty = async (options: {
  readonly requests: number
  readonly seed?: number
  readonly goesOn?: GoesOn
}): Promise<Report> => {
  const { requests, seed = 1, goesOn = always } = options
  const dice = createDice(seed)
  const lines = createLines()
  const keys = Object.values(lines)
  const world = await createWorld({ policy: formatPolicy, people })
  const { config } = await loadConfig({
    file: join(world.dir, 'postern.yaml'),
    env: {},
    cwd: world.dir,
  })
  const app = await build(config, { logger: createLogger('error', { write: () => {} }) })
  const serials = new Set<bigint>()
  const violations: string[] = []
  const figures = { requests: 0, certificates: 0, refused: 0, denied: 0, 'read by sshpk': 0 }
  let batch: Given[] = []
  let tokens = new Map<string, string>()

  const send = async (): Promise<void> => {
    const ask = createRandomAsk(dice, keys)
    const before = Math.floor(Date.now() / 1000)
    const response = await app.fetch(
      new Request('http://127.0.0.1/v1/certificates', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${tokens.get(ask.user)}`,
          'content-type': 'application/json',
        },
        body: ask.text,
      }),
      { incoming: { url: '/v1/certificates', socket: { remoteAddress: '127.0.0.1' } } },
    )
    const body = await response.text()
    if (response.status !== 201) {
      figures.refused++
      if (response.status === 403) figures.denied++
      const isPlain = [400, 403].includes(response.status) && !body.includes('cert-v01')
      if (!isPlain) violations.push(`${response.status} for ${ask.user} ${ask.text}: ${body}`)
      return
    }
    figures.certificates++
    const issued = JSON.parse(body) as { readonly certificate: string; readonly rule: string }
    const parsed = parseCertificate(issued.certificate)
    if (serials.has(parsed.serial)) violations.push(`serial ${parsed.serial} twice`)
    serials.add(parsed.serial)
    const wrong = findFault(ask, issued.rule, parsed, { before, after: Date.now() / 1000 })
    if (wrong !== undefined) violations.push(`${wrong}: ${ask.user} ${ask.text}: ${body}`)
    batch.push({ ask, text: issued.certificate, parsed })
  }
  const readBatch = async (): Promise<void> => {
    const full = batch
    batch = []
    violations.push(...(await readByOpenssh(full, join(world.dir, 'certificates'))))
    for (const given of full) {
      // sshpk knows no FIDO keys, so those are read by the two others alone.
      if (given.text.startsWith('sk-')) continue
      figures['read by sshpk']++
      const wrong = readBySshpk(given)
      if (wrong !== undefined) violations.push(`sshpk: ${wrong}: ${given.text}`)
    }
  }

  let reading = Promise.resolve()
  try {
    const isDone = () => figures.requests >= requests || !goesOn(figures.requests, requests)
    while (!isDone()) {
      // New ones each round: a long run outlives any of them.
      const minted = users.map(async (user) => [user, await world.issuer.mintFor(user)] as const)
      tokens = new Map(await Promise.all(minted))
      const worker = async () => {
        while (!isDone() && batch.length < batchSize) {
          figures.requests++
          await send()
        }
      }
      await Promise.all(Array.from({ length: inFlight }, worker))
      // Read by programs of their own, while the next round is asked.
      await reading
      reading = readBatch()
    }
    await reading
    await app.close()
    const logged = await countLogged(join(config.dataDir, 'postern.db'))
    for (const what of ['certificates', 'denied'] as const) {
      if (logged[what] === figures[what]) continue
      violations.push(`${what}: ${figures[what]} were answered, and ${logged[what]} are in the log`)
    }
    return { name: 'property', figures: { ...figures, seed }, violations }
  } finally {
    await app.close()
    await world.remove()
  }
}

/** The first thing about a certificate that the policy does not grant, or that was not asked for. */
const findFault = (
  { user, members, text }: RandomAsk,
  ruleName: string,
  found: Certificate,
  { before, after }: { readonly before: number; readonly after: number },
): string | undefined => {
  const rule = granted[ruleName]
  if (rule === undefined) return `a rule called ${ruleName}`
  const { publicKey, host, login, command, ttl } = members
  if (typeof host !== 'string' || typeof login !== 'string') return 'an ask without its members'
  const ttlSeconds = ttl === undefined ? rule.ttl : toSeconds(String(ttl))
  const forced = rule.commands?.[String(command)]
  const critical: readonly Option[] = [
    ...(forced === undefined ? [] : [{ name: 'force-command', value: forced }]),
    ...(rule.sourceAddress === undefined
      ? []
      : [{ name: 'source-address', value: rule.sourceAddress }]),
  ]
  const extensions = rule.extensions.map((name) => ({ name, value: '' }))
  const facts: readonly (readonly [string, boolean])[] = [
    ['an ask that is not what was sent', JSON.stringify(members) === text],
    ['a person whom the rule does not name', rule.users.includes(user)],
    ['a host that is not the rule’s', rule.host.test(host)],
    ['a login that is not the rule’s', rule.logins.includes(login)],
    ['other principals', found.principals.join('\n') === rule.principal(host, login)],
    ['another key', isEqual(found.publicKey, parsePublicKey(String(publicKey)).blob)],
    ['no command where there must be one', rule.commands === undefined || forced !== undefined],
    ['other critical options', isSameList(found.criticalOptions, critical)],
    ['other extensions', isSameList(found.extensions, extensions)],
    ['a serial out of range', found.serial > 0n && found.serial < 2n ** 63n],
    ['a ttl over the cap', ttlSeconds <= rule.maxTtl],
    ['a start too early', Number(found.validAfter) >= before - 60],
    ['an end too late', Number(found.validBefore) <= after + ttlSeconds],
  ]
  return facts.find(([, holds]) => !holds)?.[0]
}

const toSeconds = (ttl: string): number => {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(ttl) ?? []
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
  return Number(count) * (units[unit ?? ''] ?? Number.NaN)
}

/** In the same order, each once: `wanted` is sorted. */
const isSameList = (found: readonly Option[], wanted: readonly Option[]): boolean =>
  JSON.stringify(found) === JSON.stringify(wanted)

/** What ssh-keygen -L prints of a file of certificates, one block each, against what we read. */
const readByOpenssh = async (batch: readonly Given[], path: string): Promise<readonly string[]> => {
  if (batch.length === 0) return []
  writeFileSync(path, batch.map(({ text }) => `${text}\n`).join(''))
  const { stdout } = await run('ssh-keygen', ['-L', '-f', path])
  const blocks = stdout.split(/^(?=\S)/m)
  if (blocks.length !== batch.length) {
    return [`ssh-keygen reads ${blocks.length} of ${batch.length} certificates`]
  }
  return batch.flatMap(({ parsed, text }, at) => {
    const block = blocks[at] ?? ''
    const wanted = [
      `Type: ${parsed.type} user certificate`,
      `Key ID: "${parsed.keyId}"`,
      `Serial: ${parsed.serial}`,
      formatList('Principals', parsed.principals),
      formatList('Critical Options', parsed.criticalOptions.map(formatOption)),
      formatList('Extensions', parsed.extensions.map(formatOption)),
    ]
    const missing = wanted.find((line) => !block.includes(`${line}\n`))
    return missing === undefined ? [] : [`ssh-keygen has no ${missing}: ${text}`]
  })
}

const formatOption = ({ name, value }: Option): string => (value === '' ? name : `${name} ${value}`)

const formatList = (title: string, items: readonly string[]): string =>
  items.length === 0
    ? `${title}: (none)`
    : [`${title}: `, ...items.map((item) => `                ${item}`)].join('\n')

const readBySshpk = ({ text, parsed }: Given): string | undefined => {
  const found = sshpk.parseCertificate(text, 'openssh')
  if (found.serial.readBigUInt64BE() !== parsed.serial) return 'another serial'
  if (found.signatures.openssh.keyId !== parsed.keyId) return 'another key id'
  const names = found.subjects.map(({ uid }) => uid)
  return names.join('\n') === parsed.principals.join('\n') ? undefined : 'other principals'
}

/** What the log has of each: refusals one by one, and beyond the first ones of a minute as a count. */
const countLogged = async (path: string) => {
  const reader = await openReader(path)
  const found = { certificates: 0, denied: 0 }
  try {
    for (let from = 1; ; ) {
      const rows = await reader.read(from, 1_000)
      const last = rows.at(-1)
      if (last === undefined) return found
      for (const { entry } of rows.map(parseEntry)) {
        if (entry.type === 'allow') found.certificates++
        if (entry.type === 'deny') found.denied++
        if (entry.type === 'refusals') found.denied += entry.count
      }
      from = last.seq + 1
    }
  } finally {
    await reader.close()
  }
}
