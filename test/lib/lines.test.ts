import { describe, expect, test } from 'vitest'
import { readLines } from '../../src/lib/lines.ts'

const collect = async (chunks: readonly (string | Uint8Array)[], most = 10) => {
  const source = (async function* () {
    for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  })()
  const lines: (readonly [number, string, number])[] = []
  for await (const { number, text, end } of readLines(source, most)) lines.push([number, text, end])
  return lines
}

describe('lines', () => {
  test.each<[string, readonly (string | Uint8Array)[], unknown]>([
    ['none', [], []],
    ['an empty one', ['\n'], [[1, '', 1]]],
    [
      'without an end',
      ['a\nb'],
      [
        [1, 'a', 2],
        [2, 'b', 3],
      ],
    ],
    [
      'in pieces',
      ['a', '', 'b', '\nc\n'],
      [
        [1, 'ab', 3],
        [2, 'c', 5],
      ],
    ],
    [
      'with carriage returns',
      ['a\r\nb\r\n'],
      [
        [1, 'a', 3],
        [2, 'b', 6],
      ],
    ],
    ['a letter in two pieces', [Uint8Array.of(0xc3), Uint8Array.of(0xa4, 0x0a)], [[1, 'ä', 3]]],
    ['what is no text', [Uint8Array.of(0xff, 0x0a)], [[1, '\ufffd', 2]]],
    [
      'too long, in one piece',
      ['0123456789abc\nx\n'],
      [
        [1, '0123456789', 14],
        [2, 'x', 16],
      ],
    ],
    [
      'too long, in many',
      ['01234', '56789', 'abc', 'def\nx'],
      [
        [1, '0123456789', 17],
        [2, 'x', 18],
      ],
    ],
  ])('%s', async (_what, chunks, lines) => {
    expect(await collect(chunks)).toEqual(lines)
  })
})
