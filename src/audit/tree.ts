import { hash } from 'node:crypto'

/**
 * The Merkle tree of RFC 6962 section 2.1 over the hashes of the log's entries. A leaf's hash is the
 * entry's own (entry.ts); everything here is pure, and counts leaves from 0.
 */
export type TreeHash = Uint8Array

/** The root of a tree without leaves. */
export const emptyRoot: TreeHash = hash('sha256', '', 'buffer')

/** What a node is the hash of. One is enough: nothing else happens between its filling and its hashing. */
const children = new Uint8Array(65)
children[0] = 1

/** RFC 6962 section 2.1: the prefix keeps a node from being taken for a leaf. */
export const hashNode = (left: TreeHash, right: TreeHash): TreeHash => {
  // A shorter one would leave in its place some of what stood there.
  if (!isHash(left) || !isHash(right)) throw new TypeError('a hash has 32 bytes')
  children.set(left, 1)
  children.set(right, 33)
  // Through a string: as bytes the hash takes three times as long to come out.
  return Buffer.from(hash('sha256', children, 'binary'), 'binary')
}

export const isSameHash = (a: TreeHash, b: TreeHash): boolean => Buffer.compare(a, b) === 0

/** A tree of which only the roots of its complete subtrees are kept: enough to grow, and for its root. */
export interface Frontier {
  size(): number
  add(leaf: TreeHash): void
  root(): TreeHash
}

export const createFrontier = (): Frontier => {
  /** At index k the root of a complete subtree of 2^k leaves, where the size has that bit. */
  const roots: (TreeHash | undefined)[] = []
  let size = 0
  return Object.freeze({
    size: () => size,
    add(leaf: TreeHash) {
      let carried = leaf
      let level = 0
      for (; roots[level] !== undefined; level++) {
        carried = hashNode(roots[level] as TreeHash, carried)
        roots[level] = undefined
      }
      roots[level] = carried
      size++
    },
    root() {
      const found = roots.filter((root) => root !== undefined)
      return found.length === 0 ? emptyRoot : found.reduce((right, left) => hashNode(left, right))
    },
  })
}

/** The leaves `[start, end)`, whose subtree's hash is one element of a proof. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The largest power of two below `size`: where RFC 6962 section 2.1 splits a tree in two. */
const splitOf = (size: number): number => 2 ** Math.ceil(Math.log2(size) - 1)

/** RFC 6962 section 2.1.1: PATH(index, D[size]), as the ranges whose hashes it holds. */
export const listInclusionRanges = (index: number, size: number): readonly Range[] => {
  const ranges: Range[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    const isLeft = index < middle
    ranges.unshift(isLeft ? { start: middle, end } : { start, end: middle })
    if (isLeft) end = middle
    else start = middle
  }
  return ranges
}

/** RFC 6962 section 2.1.2: PROOF(from, D[to]), as the ranges whose hashes it holds. `from` is at least 1. */
export const listConsistencyRanges = (from: number, to: number): readonly Range[] => {
  const ranges: Range[] = []
  let [start, end] = [0, to]
  while (end !== from) {
    const middle = start + splitOf(end - start)
    if (from <= middle) {
      ranges.unshift({ start: middle, end })
      end = middle
    } else {
      ranges.unshift({ start, end: middle })
      start = middle
    }
  }
  // The old tree as a whole is what the verifier has already.
  return start === 0 ? ranges : [{ start, end }, ...ranges]
}

/**
 * The complete subtrees that make up a range, left to right, each as its level (2^level leaves) and
 * its place among those of that level.
 */
export const listNodes = ({ start, end }: Range): readonly { level: number; index: number }[] => {
  const nodes: { level: number; index: number }[] = []
  for (let at = start; at < end; ) {
    const level = Math.floor(Math.log2(end - at))
    nodes.push({ level, index: at / 2 ** level })
    at += 2 ** level
  }
  return nodes
}

/** The hash over a range from the hashes of its nodes, left to right. */
export const joinNodes = (nodes: readonly TreeHash[]): TreeHash =>
  nodes.length === 0 ? emptyRoot : nodes.reduceRight((right, left) => hashNode(left, right))

/** Whether the leaf stands at `index` in the tree of that size and root. Never throws. */
export const isIncluded = (given: {
  readonly leaf: TreeHash
  readonly index: number
  readonly size: number
  readonly root: TreeHash
  readonly proof: readonly TreeHash[]
}): boolean => {
  const { leaf, index, size, root, proof } = given
  if (!isCount(index) || !isCount(size) || index >= size) return false
  const ranges = listInclusionRanges(index, size)
  if (proof.length !== ranges.length || ![leaf, ...proof].every(isHash)) return false
  const found = ranges.reduce<TreeHash>((below, { start }, at) => {
    const sibling = proof[at] as TreeHash
    return start > index ? hashNode(below, sibling) : hashNode(sibling, below)
  }, leaf)
  return isSameHash(found, root)
}

/** Whether the tree of size `to` is that of size `from` with leaves added. Never throws. */
export const isConsistent = (given: {
  readonly from: number
  readonly fromRoot: TreeHash
  readonly to: number
  readonly toRoot: TreeHash
  readonly proof: readonly TreeHash[]
}): boolean => {
  const { from, fromRoot, to, toRoot, proof } = given
  if (!isCount(from) || !isCount(to) || from < 1 || from > to) return false
  if (![fromRoot, ...proof].every(isHash)) return false
  if (from === to) return proof.length === 0 && isSameHash(fromRoot, toRoot)
  const ranges = listConsistencyRanges(from, to)
  if (proof.length !== ranges.length) return false
  // Where the old tree is a subtree of the new one, its root opens the proof.
  const isWhole = ranges[0]?.start === from
  const [first, ...rest] = isWhole ? [fromRoot, ...proof] : proof
  const places = isWhole ? ranges : ranges.slice(1)
  let old = first as TreeHash
  let now = first as TreeHash
  for (const [at, { start }] of places.entries()) {
    const hash = rest[at] as TreeHash
    if (start >= from) now = hashNode(now, hash)
    else {
      old = hashNode(hash, old)
      now = hashNode(hash, now)
    }
  }
  return isSameHash(old, fromRoot) && isSameHash(now, toRoot)
}

/** Beyond this the logarithms above would round. */
const maxSize = 2 ** 40
const isCount = (value: number): boolean =>
  Number.isSafeInteger(value) && value >= 0 && value <= maxSize
const isHash = (value: TreeHash): boolean => value.length === 32
