import { concat, encodeUtf8 } from '../lib/bytes.ts'
import { encodeMpint, encodeStrings, encodeUint32, encodeUint64 } from './wire.ts'

/** Serials from `from` to `to`, both included. */
export interface SerialRange {
  readonly from: bigint
  readonly to: bigint
}

/** What of one CA's certificates is revoked. */
export interface RevokedCertificates {
  /** The CA's public key as a wire blob: under another key none of this has an effect. */
  readonly authority: Uint8Array
  /** 1 to 2^64-1, in any order: serial 0 can't be revoked (OpenSSH krl.c). */
  readonly serials?: readonly bigint[]
  readonly ranges?: readonly SerialRange[]
  readonly keyIds?: readonly string[]
}

/** What a KRL says. */
export interface KrlSpec {
  readonly version: bigint
  /** Seconds since 1970. */
  readonly generated: number
  readonly comment?: string
  readonly certificates: readonly RevokedCertificates[]
  /** Wire blobs of public keys: each of them, every certificate of it, and as a CA all it signed. */
  readonly keys?: readonly Uint8Array[]
  /** The same by the SHA-256 of a key's blob, 32 bytes each. */
  readonly fingerprints?: readonly Uint8Array[]
}

/** The numbers of PROTOCOL.krl. */
export const krlFormat = {
  magic: encodeUtf8('SSHKRL\n\0'),
  version: 1,
  section: { certificates: 1, keys: 2, sha1: 3, signature: 4, sha256: 5 },
  certificateSection: { serials: 0x20, range: 0x21, bitmap: 0x22, keyIds: 0x23 },
} as const

/**
 * An OpenSSH key revocation list (PROTOCOL.krl), the same bytes for the same content. Never has a
 * signature section, for which OpenSSH from 9.4 refuses the file, and with it every login.
 * @throws RangeError for serial 0 and past 2^64-1, a range that ends before it begins, a fingerprint
 * of another length, or a CA that stands twice
 */
export const encodeKrl = (spec: KrlSpec): Uint8Array => {
  const { section } = krlFormat
  const { certificates, keys = [], fingerprints = [] } = spec
  const authorities = certificates.map(({ authority }) => Buffer.from(authority).toString('hex'))
  if (new Set(authorities).size !== authorities.length) throw new RangeError('a CA stands twice')
  if (fingerprints.some(({ length }) => length !== 32)) throw new RangeError('no SHA-256 hash')
  return concat(
    krlFormat.magic,
    encodeUint32(krlFormat.version),
    encodeUint64(spec.version),
    encodeUint64(BigInt(spec.generated)),
    encodeUint64(0n),
    encodeStrings('', spec.comment ?? ''),
    ...certificates.flatMap((revoked) => {
      const body = encodeCertificates(revoked)
      return body.length === 0
        ? []
        : encodeSection(section.certificates, encodeStrings(revoked.authority, ''), ...body)
    }),
    ...encodeBlobs(section.keys, keys),
    ...encodeBlobs(section.sha256, fingerprints),
  )
}

const encodeSection = (type: number, ...data: readonly Uint8Array[]): Uint8Array[] => {
  const body = concat(...data)
  return [Uint8Array.of(type), encodeUint32(body.length), body]
}

/** Sorted, each once: krl.c keeps them in a tree, and the bytes are those of the content alone. */
const encodeBlobs = (type: number, blobs: readonly Uint8Array[]): readonly Uint8Array[] => {
  const sorted = blobs.toSorted(Buffer.compare)
  const unique = sorted.filter(
    (blob, at) => at === 0 || Buffer.compare(blob, sorted[at - 1] as Uint8Array) !== 0,
  )
  return unique.length === 0 ? [] : encodeSection(type, encodeStrings(...unique))
}

const encodeCertificates = ({
  serials = [],
  ranges = [],
  keyIds = [],
}: RevokedCertificates): readonly Uint8Array[] => {
  const ids = [...new Set(keyIds)].sort()
  return [
    ...encodeRuns(joinRanges([...toRuns(serials), ...ranges])),
    ...(ids.length === 0
      ? []
      : encodeSection(krlFormat.certificateSection.keyIds, encodeStrings(...ids))),
  ]
}

const checkRange = ({ from, to }: SerialRange): void => {
  if (from < 1n || to < from || to >= 1n << 64n) throw new RangeError('no serials to revoke')
}

const toRuns = (serials: readonly bigint[]): readonly SerialRange[] => {
  // Before they become 64-bit numbers, which wrap around. Sorting those takes a tenth of the time.
  for (const serial of serials) checkRange({ from: serial, to: serial })
  return Array.from(BigUint64Array.from(serials).sort(), (serial) => ({ from: serial, to: serial }))
}

/** Sorted by serial, with what overlaps or touches as one. @throws RangeError */
export const joinRanges = (ranges: readonly SerialRange[]): readonly SerialRange[] => {
  const joined: { from: bigint; to: bigint }[] = []
  for (const range of ranges.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    checkRange(range)
    const last = joined.at(-1)
    if (last === undefined || range.from > last.to + 1n) joined.push({ ...range })
    else if (range.to > last.to) last.to = range.to
  }
  return joined
}

/** What sshbuf_get_bignum2 takes: 16,384 bits. */
const maxBits = 16_384n
/** From so many in a row on they are a range whatever is near, in 21 bytes. */
const longRun = 256n

const lengthOf = ({ from, to }: SerialRange): bigint => to - from + 1n
const isShort = (run: SerialRange): boolean => lengthOf(run) <= 2n

/**
 * Each run in the cheapest way: near one another as a bitmap, else as a range, or listed in 8 bytes.
 * Up to 64 bits between two of them cost a bitmap no more than a list would.
 */
const encodeRuns = (runs: readonly SerialRange[]): readonly Uint8Array[] => {
  const { certificateSection } = krlFormat
  const sections: Uint8Array[] = []
  let listed: bigint[] = []
  const endList = () => {
    if (listed.length === 0) return
    sections.push(...encodeSection(certificateSection.serials, encodeSerials(listed)))
    listed = []
  }
  for (let at = 0; at < runs.length; ) {
    const first = runs[at] as SerialRange
    let end = at + 1
    let previous = first
    let apart = costApart(first)
    for (let next = runs[end]; next !== undefined; next = runs[++end]) {
      if (lengthOf(previous) > longRun || next.from - previous.to > 64n) break
      if (next.to - first.from >= maxBits) break
      apart += costApart(next)
      previous = next
    }
    const near = runs.slice(at, end)
    at = end
    // A header of 5 bytes, the offset, and the length of the number with a zero in front.
    if (5 + 8 + 5 + Number((previous.to - first.from) / 8n) < apart) {
      endList()
      sections.push(...encodeSection(certificateSection.bitmap, ...encodeBitmap(near)))
      continue
    }
    for (const run of near) {
      if (isShort(run)) {
        listed.push(run.from)
        if (run.to !== run.from) listed.push(run.to)
        continue
      }
      endList()
      const bounds = [encodeUint64(run.from), encodeUint64(run.to)]
      sections.push(...encodeSection(certificateSection.range, ...bounds))
    }
  }
  endList()
  return sections
}

const costApart = (run: SerialRange): number => (isShort(run) ? 8 * Number(lengthOf(run)) : 21)

const encodeSerials = (serials: readonly bigint[]): Uint8Array => {
  const bytes = new Uint8Array(serials.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [at, serial] of serials.entries()) view.setBigUint64(at * 8, serial)
  return bytes
}

/** The offset, and a number in which bit n says that offset + n is revoked. */
const encodeBitmap = (runs: readonly SerialRange[]): readonly Uint8Array[] => {
  const { from: offset } = runs[0] as SerialRange
  const { to } = runs.at(-1) as SerialRange
  const bits = new Uint8Array(Number((to - offset) / 8n) + 1)
  for (const run of runs) {
    for (let bit = Number(run.from - offset); bit <= Number(run.to - offset); bit++) {
      const at = bits.length - 1 - (bit >> 3)
      bits[at] = (bits[at] as number) | (1 << (bit & 7))
    }
  }
  return [encodeUint64(offset), encodeMpint(bits)]
}
