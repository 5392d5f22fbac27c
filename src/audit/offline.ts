#!/usr/bin/env node
/**
 * Judges an exported log, or a proof, by a signed checkpoint, with nothing of Postern but this file: no
 * import of ours, no database, no network. Node alone runs it:
 *
 *   node offline.js CHECKPOINT EXPORT.jsonl --key KEY [--leaves FILE]
 *   node offline.js CHECKPOINT --proof PROOF.json --key KEY
 *
 * CHECKPOINT is what GET /v1/audit/checkpoint answers, or a file of many, the newest last; EXPORT what
 * `postern audit export` writes, whole; KEY the line of `postern audit key`, had from somewhere else than
 * the log; FILE `dataDir/tree/leaves`, which names the first bad entry of a log made anew as well; PROOF
 * what GET /v1/audit/proof answers (`?from` wants both checkpoints in CHECKPOINT).
 *
 * Exit code 0: the export begins with exactly what was signed, and its chain holds; the proof holds. 1:
 * it does not, and the first bad entry is named. 2: the command line or a file is wrong.
 */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { createReadStream, readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

type Hash = Buffer
type Answer = { readonly code: number; readonly text: string }

export type OfflineVerdict =
  | { readonly ok: true; readonly count: number; readonly size: number }
  | { readonly ok: false; readonly seq: number; readonly reason: string }

const sha256 = (...parts: readonly (string | Uint8Array)[]): Hash =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

/** RFC 6962 section 2.1. */
const hashLeaf = (text: string): Hash => sha256('\0', text)
const hashNode = (left: Hash, right: Hash): Hash => sha256('\x01', left, right)

const createTree = () => {
  const roots: (Hash | undefined)[] = []
  let size = 0
  return {
    size: () => size,
    add(leaf: Hash) {
      let carried = leaf
      let level = 0
      for (; roots[level] !== undefined; level++) {
        carried = hashNode(roots[level] as Hash, carried)
        roots[level] = undefined
      }
      roots[level] = carried
      size++
    },
    root: (): Hash => {
      const found = roots.filter((root) => root !== undefined)
      return found.length === 0 ? sha256() : found.reduce((right, left) => hashNode(left, right))
    },
  }
}

/** RFC 8785, as far as entries need it. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}

interface Point {
  readonly size: number
  readonly root: Hash
}

/** C2SP signed-note and tlog-checkpoint. Throws for what the key has not signed. */
const openNote = (note: string, key: string): Point => {
  const [, name = '', id = '', data = ''] =
    /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(key.trim()) ?? []
  const raw = Buffer.from(data, 'base64')
  const keyId = sha256(`${name}\n`, raw).subarray(0, 4)
  if (raw.length !== 33 || raw[0] !== 1 || keyId.toString('hex') !== id) {
    throw new Error('this is no verifier key: give the line that `postern audit key` prints')
  }
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)])
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
  const end = note.indexOf('\n\n')
  const text = note.slice(0, end + 1)
  const signatures = note.slice(end + 2).split('\n')
  const own = signatures.filter((line) => line.startsWith(`— ${name} `))
  const isSigned = own.some((line) => {
    const signature = Buffer.from(line.split(' ')[2] ?? '', 'base64')
    return verify(null, Buffer.from(text), publicKey, signature.subarray(4)) === true
  })
  const [origin, size = '', root = ''] = text.split('\n')
  const hash = Buffer.from(root, 'base64')
  if (!isSigned || origin !== name) throw new Error('the checkpoint is not signed by this key')
  if (!/^(0|[1-9][0-9]{0,12})$/.test(size) || hash.length !== 32) {
    throw new Error('the checkpoint names no size and root')
  }
  return { size: Number(size), root: hash }
}

/** Each from where a line begins: trying every character takes hours. Throws for none, or one that the key has not signed. */
const openNotes = (notes: string, key: string): readonly Point[] => {
  const found = notes.match(/(?<![^\n])(?:[^\n]+\n){3,16}\n(?:— [^\n]+\n)+/g) ?? []
  if (found.length === 0) throw new Error('there is no signed checkpoint in the file')
  return found.map((note) => openNote(note, key))
}

/** The text that was hashed: the line without the hash it begins with, and every character beyond ASCII as itself. */
const readText = (line: string): string =>
  `{${line.slice(line.indexOf(',') + 1)}`.replace(/\\(?:u([0-9a-f]{4})|.)/g, (all, code = '') =>
    code > '001f' ? JSON.parse(`"${all}"`) : all,
  )

/**
 * What a line says, and the hash of its entry; undefined where it is no JSON. As it was exported it is
 * hashed as it stands, for V8 misreads names with a backslash (nodejs/node#63785).
 */
const readLine = (line: string) => {
  try {
    const { hash, ...members } = JSON.parse(line) as Readonly<Record<string, unknown>>
    const { seq, prev } = members
    const whole = hashLeaf(readText(line))
    const leaf = whole.toString('hex') === hash ? whole : hashLeaf(canonical({ v: 1, ...members }))
    return { seq, prev, leaf, hash }
  } catch {
    return undefined
  }
}

/**
 * Reads the lines once. `notes` are checkpoints one after another, of which the last judges. Throws
 * where a checkpoint or the key is not what it should be.
 */
export const judge = async (given: {
  readonly notes: string
  readonly lines: Iterable<string> | AsyncIterable<string>
  readonly key: string
  /** 32 bytes for each entry. */
  readonly leaves?: Uint8Array
}): Promise<OfflineVerdict> => {
  const points = openNotes(given.notes, given.key)
  const point = points.at(-1) as Point
  const bySize = new Map<number, Point[]>()
  for (const one of points) bySize.set(one.size, [...(bySize.get(one.size) ?? []), one])
  const witness = given.leaves && checkLeaves(given.leaves, point)
  const tree = createTree()
  let prev = '0'.repeat(64)
  let count = 0
  let held = 0
  for await (const line of given.lines) {
    if (line === '') continue
    const seq = count + 1
    const fail = (reason: string) => ({ ok: false, seq, reason }) as const
    const found = readLine(line)
    if (found === undefined) return fail('it is not JSON')
    const { leaf } = found
    if (witness !== undefined && count < point.size && !leaf.equals(witness(count))) {
      return fail('it is not the entry that the checkpoint was signed over')
    }
    if (found.seq !== seq) return fail(`it is missing: entry ${found.seq} stands in its place`)
    if (found.prev !== prev) return fail('it does not follow from the entry before it')
    prev = leaf.toString('hex')
    if ((found.hash ?? prev) !== prev) return fail('its hash is not the hash of its text')
    count++
    if (count > point.size) continue
    tree.add(leaf)
    if (bySize.get(count)?.some(({ root }) => root.equals(tree.root()))) held = count
  }
  const { size } = point
  if (count < size) {
    return {
      ok: false,
      seq: count + 1,
      reason: `it is missing: the checkpoint counts ${size} entries`,
    }
  }
  if (tree.root().equals(point.root)) return { ok: true, count, size }
  const reason = `from it to entry ${size} the log was written anew: they are not what the checkpoint was signed over`
  return { ok: false, seq: held + 1, reason }
}

/** Lines end at a line feed alone: node:readline would also end them at U+2028, which JSON may hold. */
async function* splitLines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

/** The hashes of the entries that were signed, by their place, where they lead to the checkpoint's root. */
const checkLeaves = (bytes: Uint8Array, { size, root }: Point) => {
  const leafAt = (at: number): Hash => Buffer.from(bytes.subarray(at * 32, at * 32 + 32))
  const tree = createTree()
  while (tree.size() < Math.min(size, bytes.length / 32)) tree.add(leafAt(tree.size()))
  return tree.size() === size && tree.root().equals(root) ? leafAt : undefined
}

/**
 * From a leaf or a complete subtree to two roots (RFC 9162 sections 2.1.3.2 and 2.1.4.2): of what ends
 * with it, and of the whole. Undefined where the hashes are too few or too many.
 */
const climb = (start: Hash, hashes: readonly Hash[], index: number, last: number) => {
  let [from, to] = [start, start]
  let [at, end] = [index, last]
  const rise = () => {
    at = Math.floor(at / 2)
    end = Math.floor(end / 2)
  }
  for (const hash of hashes) {
    if (end === 0) return undefined
    if (at % 2 === 1 || at === end) {
      from = hashNode(hash, from)
      to = hashNode(hash, to)
      while (at % 2 === 0 && at > 0) rise()
    } else to = hashNode(to, hash)
    rise()
  }
  return end === 0 ? { from, to } : undefined
}

const isGrown = (old: Point, now: Point, hashes: readonly Hash[]): boolean => {
  if (old.size === now.size) return hashes.length === 0 && old.root.equals(now.root)
  let [at, end] = [old.size - 1, now.size - 1]
  while (at % 2 === 1) [at, end] = [(at - 1) / 2, Math.floor(end / 2)]
  // A complete subtree is the old tree itself.
  const [start, ...rest] = at === 0 ? [old.root, ...hashes] : hashes
  const found = start && climb(start, rest, at, end)
  return found?.from.equals(old.root) === true && found.to.equals(now.root)
}

const noProof = 'this is no proof: give what GET /v1/audit/proof answers, whole'

const readHash = (value: unknown): Hash => {
  const bytes = Buffer.from(String(value), 'base64')
  if (bytes.length !== 32) throw new Error(noProof)
  return bytes
}
const isPlace = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0

/** What a proof says, or undefined where it does not hold. Throws where it is none, or of no checkpoint here. */
export const judgeProof = (given: {
  readonly notes: string
  readonly proof: string
  readonly key: string
}): string | undefined => {
  const points = openNotes(given.notes, given.key)
  const { seq, size, leaf, from, to, hashes } = JSON.parse(given.proof) ?? {}
  if (!Array.isArray(hashes)) throw new Error(noProof)
  const nodes = hashes.map(readHash)
  const find = (wanted: number): readonly Point[] => {
    const found = points.filter((point) => point.size === wanted)
    if (found.length > 0) return found
    throw new Error(`there is no checkpoint of ${wanted} entries in the file`)
  }
  if (isPlace(seq) && isPlace(size) && seq <= size) {
    const hash = readHash(leaf)
    const top = climb(hash, nodes, seq - 1, size - 1)?.to
    const holds = find(size).some(({ root }) => top?.equals(root))
    const said = `entry ${seq} of the ${size} signed has the hash ${hash.toString('hex')}`
    return holds ? said : undefined
  }
  if (!isPlace(from) || !isPlace(to) || from > to) throw new Error(noProof)
  const holds = find(from).some((old) => find(to).some((now) => isGrown(old, now, nodes)))
  return holds ? `the ${to} entries signed begin with the ${from} signed before` : undefined
}

const usage = `usage: node offline.js CHECKPOINT EXPORT.jsonl --key KEY [--leaves FILE]
       node offline.js CHECKPOINT --proof PROOF.json --key KEY`

/** The exit code, and what to say. */
export const runOffline = async (argv: readonly string[]): Promise<Answer> => {
  const named: Record<string, string | undefined> = {}
  const files: string[] = []
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string
    if (['--key', '--leaves', '--proof'].includes(word)) named[word.slice(2)] = argv[++at] ?? ''
    else files.push(word)
  }
  const [checkpoint, exported] = files
  const { key, leaves, proof } = named
  const isWhole = files.length === (proof === undefined ? 2 : 1)
  if (checkpoint === undefined || !key || !isWhole) return { code: 2, text: usage }
  try {
    const notes = readFileSync(checkpoint, 'utf8')
    if (exported === undefined) {
      const said = judgeProof({ notes, proof: readFileSync(proof ?? '', 'utf8'), key })
      if (said === undefined) return { code: 1, text: 'error: the proof does not hold' }
      return { code: 0, text: `ok: ${said}` }
    }
    const verdict = await judge({
      notes,
      lines: splitLines(createReadStream(exported, 'utf8')),
      key,
      ...(leaves === undefined ? {} : { leaves: readFileSync(leaves) }),
    })
    return verdict.ok
      ? { code: 0, text: `ok: ${verdict.count} entries, ${verdict.size} of them signed` }
      : { code: 1, text: `error: entry ${verdict.seq} does not verify: ${verdict.reason}` }
  } catch (error) {
    return { code: 2, text: `error: ${error instanceof Error ? error.message : String(error)}` }
  }
}

if (realpathSync(process.argv[1] ?? '.') === fileURLToPath(import.meta.url)) {
  const { code, text } = await runOffline(process.argv.slice(2))
  process.stdout.write(`${text}\n`)
  process.exitCode = code
}
