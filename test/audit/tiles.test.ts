import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTiles } from '../../src/audit/tiles.ts'
import {
  createFrontier,
  isConsistent,
  isIncluded,
  listConsistencyRanges,
  listInclusionRanges,
} from '../../src/audit/tree.ts'
import { sha256 } from '../../src/lib/bytes.ts'
import { useDirectories } from '../fakes/directory.ts'

const makeDirectory = useDirectories()
const leafOf = (n: number) => sha256(Buffer.from(`leaf ${n}`))
const rootOf = (size: number) => {
  const frontier = createFrontier()
  for (let n = 0; n < size; n++) frontier.add(leafOf(n))
  return frontier.root()
}

const make = async (size: number) => {
  const directory = makeDirectory()
  const tiles = await openTiles(directory)
  for (let n = 0; n < size; n++) tiles.add(leafOf(n))
  await tiles.flush()
  return { directory, tiles }
}

describe('the tree in its files', () => {
  test('has the same root at every size, whenever it is flushed', async () => {
    const tiles = await openTiles(makeDirectory())
    const frontier = createFrontier()
    expect(tiles.root()).toEqual(frontier.root())
    for (let n = 0; n < 1_100; n++) {
      tiles.add(leafOf(n))
      frontier.add(leafOf(n))
      if (n % 97 === 0) await tiles.flush()
      if (n % 13 === 0 || n % 256 < 2) expect(tiles.root()).toEqual(frontier.root())
    }
    expect(tiles.size()).toBe(1_100)
    await tiles.close()
  })

  test('proves every entry and every earlier size', async () => {
    const size = 1_500
    const { tiles } = await make(size)
    const root = tiles.root()
    for (const index of [0, 1, 255, 256, 257, 511, 512, 1023, 1024, 1279, 1280, 1498, 1499]) {
      const proof = await Promise.all(listInclusionRanges(index, size).map(tiles.hashRange))
      expect(isIncluded({ leaf: leafOf(index), index, size, root, proof })).toBe(true)
      const from = index + 1
      const ranges = listConsistencyRanges(from, size)
      const steps = await Promise.all(ranges.map(tiles.hashRange))
      const fromRoot = rootOf(from)
      expect(isConsistent({ from, fromRoot, to: size, toRoot: root, proof: steps })).toBe(true)
    }
    expect(await tiles.findLeaf(777)).toEqual(leafOf(777))
    expect(await tiles.findLeaf(size)).toBeUndefined()
    await tiles.close()
  })

  test('keeps of what it was given no more memory than it says', async () => {
    const tiles = await openTiles(makeDirectory())
    for (let n = 0; n < 1_024; n++) tiles.add(Buffer.from(leafOf(n)))
    await tiles.flush()
    for (const range of [
      { start: 0, end: 256 },
      { start: 512, end: 768 },
      { start: 0, end: 512 },
      { start: 0, end: 1_024 },
    ]) {
      expect((await tiles.hashRange(range)).buffer.byteLength).toBe(32)
    }
    await tiles.close()
  })

  test('refuses to speak of what it does not hold', async () => {
    const { tiles } = await make(10)
    await expect(tiles.hashRange({ start: 8, end: 12 })).rejects.toThrow(TypeError)
    await tiles.close()
  })

  test('goes on from its files where the checkpoint vouches for them', async () => {
    const { directory, tiles } = await make(700)
    await tiles.close()
    // Beyond the checkpoint the files may hold anything.
    appendFileSync(join(directory, 'leaves'), Buffer.alloc(50, 1))
    const again = await openTiles(directory)
    expect(again.size()).toBe(0)
    expect(await again.load({ size: 600, root: rootOf(600) })).toBe(true)
    for (let n = 600; n < 1_000; n++) again.add(leafOf(n))
    await again.flush()
    expect(again.root()).toEqual(rootOf(1_000))
    expect(readFileSync(join(directory, 'leaves')).length).toBe(32_000)
    expect(readFileSync(join(directory, 'tiles')).length).toBe(96)
    await again.close()
    const third = await openTiles(directory)
    expect(await third.load({ size: 1_000, root: rootOf(1_000) })).toBe(true)
    await third.close()
  })

  test.each([
    ['a tile changed', (dir: string) => writeFileSync(join(dir, 'tiles'), Buffer.alloc(64, 1))],
    ['its tiles cut off', (dir: string) => truncateSync(join(dir, 'tiles'), 40)],
    ['its leaves cut off', (dir: string) => truncateSync(join(dir, 'leaves'), 600 * 32)],
    [
      'its files gone',
      (dir: string) => ['tiles', 'leaves'].map((name) => truncateSync(join(dir, name))),
    ],
  ])('with %s it is empty, and made anew', async (_what, damage) => {
    const { directory, tiles } = await make(700)
    await tiles.close()
    damage(directory)
    const again = await openTiles(directory)
    expect(await again.load({ size: 700, root: rootOf(700) })).toBe(false)
    expect(again.size()).toBe(0)
    for (let n = 0; n < 700; n++) again.add(leafOf(n))
    await again.flush()
    await again.close()
    const third = await openTiles(directory)
    expect(await third.load({ size: 700, root: rootOf(700) })).toBe(true)
    await third.close()
  })

  test('is not loaded for another root', async () => {
    const { tiles } = await make(5)
    expect(await tiles.load({ size: 5, root: rootOf(4) })).toBe(false)
    await tiles.close()
  })
})
