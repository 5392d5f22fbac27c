import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { hashBody, noHash } from '../../src/audit/entry.ts'
import type { Row } from '../../src/audit/store.ts'
import { formatCanonical } from '../../src/lib/json.ts'
import { openConnection } from '../../src/store/connection.ts'
import { createSqlite } from '../../src/store/sqlite.ts'
import { allowEntry } from '../fakes/entries.ts'

const batchSize = 5000
const [people, hosts] = [500, 2000]

/** Who has the n-th certificate: one has few, one some, one very many, the others share the rest. */
const findWho = (seq: number): string => {
  if (seq % 333_333 === 7) return 'few'
  if (seq % 5000 === 11) return 'some'
  if (seq % 11 === 3) return 'many'
  return String((seq * 7919) % people)
}

/** Spread over all of 1 to 2^63-1 as those of a service are, and none twice: an odd number has an inverse modulo 2^63. */
export const findSerial = (seq: number): string =>
  BigInt.asUintN(63, BigInt(seq) * 0x9e37_79b9_7f4a_7c15n).toString()

/**
 * Writes a log of so many certificates, a second apart unless told otherwise and up to a minute ago: a
 * whole chain, through the store's own append, but without waiting for the disk.
 */
export const fillLog = async (
  dataDir: string,
  count: number,
  onProgress: (written: number) => void,
  millisApart = 1000,
): Promise<void> => {
  const connection = await openConnection(join(dataDir, 'postern.db'))
  connection.pragma('synchronous = OFF', { simple: true })
  const store = createSqlite(connection)
  const format = createFormat()
  const start = Date.now() - 60_000 - count * millisApart
  let head: { readonly seq: number; readonly hash: string } | undefined
  while ((head?.seq ?? 0) < count) {
    const rows: Row[] = []
    for (let at = head?.seq ?? 0; at < Math.min(count, (head?.seq ?? 0) + batchSize); at++) {
      const prev: string = rows.at(-1)?.hash ?? head?.hash ?? noHash
      const time = `${new Date(start + at * millisApart).toISOString().slice(0, 19)}Z`
      const body = format(at + 1, prev, time)
      rows.push({ seq: at + 1, body, hash: hashBody(body) })
    }
    await store.append(rows, head)
    head = rows.at(-1)
    onProgress(head?.seq ?? count)
  }
  await store.close()
  // Or the first fsync of the service measured then would write all of this to the disk, at its own cost.
  await syncFile(join(dataDir, 'postern.db'))
}

const syncFile = async (path: string): Promise<void> => {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Canonical bodies by filling the gaps of one: ten times as fast as writing each anew. */
const createFormat = () => {
  const gaps = ['SEQ', 'PREV', 'TIME', 'WHO', 'HOST', 'ID', 'SERIAL'] as const
  const sample = allowEntry(0)
  const text = formatCanonical({
    ...sample,
    time: '<TIME>',
    request: { id: 'req_<ID>', address: '192.0.2.1' },
    identity: { ...sample.identity, subject: 'u-<WHO>', claims: { sub: 'u-<WHO>' } },
    ask: { ...sample.ask, host: 'web-<HOST>.example.com' },
    certificate: {
      ...sample.certificate,
      serial: '<SERIAL>',
      keyId: 'oidc:idp.example.com:u-<WHO>:maya/deploy-job/req_<ID>',
      principals: ['deploy@web-<HOST>.example.com'],
      text: `ssh-ed25519-cert-v01@openssh.com ${'A'.repeat(560)}`,
    },
    v: 1,
    seq: '<SEQ>',
    prev: '<PREV>',
  }).replace('"seq":"<SEQ>"', '"seq":<SEQ>')
  const parts = text.split(new RegExp(`<(${gaps.join('|')})>`))
  return (seq: number, prev: string, time: string): string => {
    const values: Readonly<Record<string, string>> = {
      SEQ: String(seq),
      PREV: prev,
      TIME: time,
      WHO: findWho(seq),
      HOST: String((seq * 104_729) % hosts),
      ID: seq.toString(16).padStart(24, '0'),
      SERIAL: findSerial(seq),
    }
    return parts.map((part, at) => (at % 2 === 0 ? part : values[part])).join('')
  }
}
