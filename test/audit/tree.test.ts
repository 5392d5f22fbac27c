import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createFrontier,
  emptyRoot,
  hashNode,
  isConsistent,
  isIncluded,
  joinNodes,
  listConsistencyRanges,
  listInclusionRanges,
  listNodes,
  type Range,
} from '../../src/audit/tree.ts'

/** RFC 6962 section 2.1, word for word, as the judge of everything that is faster. */
const sha256 = (...parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
const leafOf = (data: string) => sha256(Uint8Array.of(0), Buffer.from(data, 'hex'))
const rootOf = (leaves: readonly Uint8Array[]): Uint8Array => {
  if (leaves.length === 0) return sha256()
  if (leaves.length === 1) return leaves[0] as Uint8Array
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return sha256(Uint8Array.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)))
}
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const leaves = Array.from({ length: 40 }, (_, n) => leafOf(n.toString(16).padStart(4, '0')))
const grow = (count: number) => {
  const frontier = createFrontier()
  for (const leaf of leaves.slice(0, count)) frontier.add(leaf)
  return frontier
}
const prove = (ranges: readonly Range[]) =>
  ranges.map(({ start, end }) => rootOf(leaves.slice(start, end)))
const flip = (bytes: Uint8Array) =>
  Uint8Array.from(bytes, (byte, at) => (at === 7 ? byte ^ 4 : byte))

describe('a tree', () => {
  test('has the root of RFC 6962 at every size, grown leaf by leaf', () => {
    for (let size = 0; size <= leaves.length; size++) {
      expect(hex(grow(size).root())).toBe(hex(rootOf(leaves.slice(0, size))))
      expect(grow(size).size()).toBe(size)
    }
  })

  test('has the roots everybody else computes for the same leaves', () => {
    // The leaves of Certificate Transparency's own reference tests; their hashes are SHA-256's.
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657']
    const frontier = createFrontier()
    for (const input of inputs) frontier.add(leafOf(input))
    expect(hex(emptyRoot)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(hex(leafOf(''))).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
    expect(hex(frontier.root())).toBe(
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    )
  })

  test('takes nothing for a node but two whole hashes', () => {
    const [left, right] = leaves as [Uint8Array, Uint8Array]
    const refused = new TypeError('a hash has 32 bytes')
    for (const odd of [left.subarray(0, 31), Buffer.concat([left, left]), new Uint8Array()]) {
      expect(() => hashNode(odd, right)).toThrow(refused)
      expect(() => hashNode(right, odd)).toThrow(refused)
    }
    // What was hashed before leaves nothing behind, and what came out stays what it was.
    const first = hashNode(left, right)
    const kept = hex(first)
    expect(hex(hashNode(right, left))).not.toBe(kept)
    expect(hex(first)).toBe(kept)
    const node = Buffer.concat([Buffer.of(1), left, right])
    expect(kept).toBe(createHash('sha256').update(node).digest('hex'))
  })

  test('joins the complete subtrees of any range from the left edge', () => {
    for (let end = 0; end <= leaves.length; end++) {
      const nodes = listNodes({ start: 0, end }).map(({ level, index }) =>
        rootOf(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
      )
      expect(hex(joinNodes(nodes))).toBe(hex(rootOf(leaves.slice(0, end))))
    }
  })
})

// ATTACKS 204
describe('an inclusion proof', () => {
  test('holds for every leaf of every tree', () => {
    for (let size = 1; size <= leaves.length; size++) {
      const root = rootOf(leaves.slice(0, size))
      for (let index = 0; index < size; index++) {
        const proof = prove(listInclusionRanges(index, size))
        const leaf = leaves[index] as Uint8Array
        expect(isIncluded({ leaf, index, size, root, proof })).toBe(true)
      }
    }
  })

  test('holds for nothing else: every part of it changed is refused', () => {
    let refused = 0
    for (const size of [1, 2, 3, 7, 8, 13, 40]) {
      const root = rootOf(leaves.slice(0, size))
      for (let index = 0; index < size; index++) {
        const proof = prove(listInclusionRanges(index, size))
        const good = { leaf: leaves[index] as Uint8Array, index, size, root, proof }
        const wrong = [
          { ...good, leaf: flip(good.leaf) },
          { ...good, leaf: good.leaf.subarray(0, 31) },
          { ...good, leaf: Buffer.concat([good.leaf, Buffer.of(0)]) },
          { ...good, root: flip(root) },
          { ...good, leaf: root, root: flip(root) },
          { ...good, index: index + 1 },
          { ...good, index: -1 },
          { ...good, index: index + 0.5 },
          { ...good, index: size },
          { ...good, size: 0 },
          { ...good, size: Number.NaN },
          { ...good, size: 2 ** 40 + 1 },
          { ...good, proof: [...proof, leaves[0] as Uint8Array] },
          { ...good, proof: [new Uint8Array(), ...proof] },
          { ...good, proof: [root, ...proof] },
          ...(proof.length === 0 ? [] : [{ ...good, proof: proof.slice(1) }]),
          ...(proof.length === 0 ? [] : [{ ...good, proof: proof.slice(0, -1) }]),
          ...proof.map((_, at) => ({
            ...good,
            proof: proof.with(at, flip(proof[at] as Uint8Array)),
          })),
          ...proof.map((_, at) => ({ ...good, proof: proof.with(at, new Uint8Array(33)) })),
          ...(proof.length < 2 ? [] : [{ ...good, proof: proof.toReversed() }]),
        ]
        for (const one of wrong) {
          expect(isIncluded(one), JSON.stringify({ size, index })).toBe(false)
          refused++
        }
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })
})

describe('a consistency proof', () => {
  const proofOf = (from: number, to: number) => ({
    from,
    fromRoot: rootOf(leaves.slice(0, from)),
    to,
    toRoot: rootOf(leaves.slice(0, to)),
    proof: prove(listConsistencyRanges(from, to)),
  })

  test('holds between any two sizes of one tree', () => {
    for (let to = 1; to <= leaves.length; to++) {
      for (let from = 1; from <= to; from++) expect(isConsistent(proofOf(from, to))).toBe(true)
    }
  })

  test('holds between no others', () => {
    let refused = 0
    for (const [from, to] of [
      [1, 2],
      [1, 8],
      [3, 7],
      [4, 7],
      [4, 8],
      [6, 8],
      [7, 7],
      [12, 40],
      [32, 33],
    ] as const) {
      const good = proofOf(from, to)
      const { proof, fromRoot, toRoot } = good
      const wrong = [
        { ...good, fromRoot: flip(fromRoot) },
        { ...good, toRoot: flip(toRoot) },
        { ...good, from: 0 },
        { ...good, fromRoot: fromRoot.subarray(0, 31) },
        { ...good, fromRoot: Buffer.concat([fromRoot, Buffer.of(0)]) },
        { ...good, from: to + 1 },
        { ...good, to: from - 1 },
        { ...good, from: 1.5 },
        { ...good, proof: [...proof, toRoot] },
        { ...good, proof: [fromRoot, ...proof] },
        { ...good, proof: [toRoot, ...proof] },
        ...(from === to ? [] : [{ ...good, fromRoot: toRoot, toRoot: fromRoot }]),
        ...(proof.length === 0 ? [] : [{ ...good, proof: proof.slice(1) }]),
        ...(proof.length === 0 ? [] : [{ ...good, proof: [] }]),
        ...proof.map((_, at) => ({
          ...good,
          proof: proof.with(at, flip(proof[at] as Uint8Array)),
        })),
        ...proof.map((_, at) => ({ ...good, proof: proof.with(at, new Uint8Array(31)) })),
        ...(proof.length < 2 ? [] : [{ ...good, proof: proof.toReversed() }]),
      ]
      for (const one of wrong) {
        expect(isConsistent(one), JSON.stringify({ from, to })).toBe(false)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(90)
  })

  test('cannot join a tree whose past was changed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 39 }), fc.nat(38), (from, changed) => {
        const other = leaves.with(changed % from, leafOf('ff'))
        const ranges = listConsistencyRanges(from, 40)
        const proof = ranges.map(({ start, end }) => rootOf(other.slice(start, end)))
        const fromRoot = rootOf(leaves.slice(0, from))
        expect(isConsistent({ from, fromRoot, to: 40, toRoot: rootOf(other), proof })).toBe(false)
      }),
    )
  })

  test('asks in a log of any size for no more hashes than twice its height', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 2 ** 40 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (to, part) => {
          const from = Math.max(1, Math.floor(to * part))
          const height = Math.ceil(Math.log2(to))
          expect(listConsistencyRanges(from, to).length).toBeLessThanOrEqual(height + 1)
          expect(listInclusionRanges(from - 1, to).length).toBeLessThanOrEqual(height)
        },
      ),
    )
  })
})
