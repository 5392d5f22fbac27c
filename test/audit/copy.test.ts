import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { type Copy, type Lines, openCopy } from '../../src/audit/copy.ts'
import { openCopyFile } from '../../src/audit/copy-file.ts'
import type { Row } from '../../src/audit/store.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { useDirectories } from '../fakes/directory.ts'
import { allowEntry, chainRows, headOf } from '../fakes/entries.ts'

const makeDirectory = useDirectories()

/** Lines in memory that can be told to fail or to hang. */
const createLines = (newest?: number) => {
  const texts: string[] = []
  let fault: 'fail' | 'hang' | undefined
  let release: (() => void) | undefined
  const lines: Lines = {
    newest,
    async write(text) {
      if (fault === 'fail') throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      if (fault === 'hang') {
        await new Promise<void>((resolve) => {
          release = resolve
        })
      }
      texts.push(text)
    },
    close: async () => {},
  }
  return {
    lines,
    breakWith: (next: typeof fault) => {
      fault = next
      release?.()
    },
    seqs: () =>
      texts.flatMap((text) => text.trimEnd().split('\n')).map((line) => JSON.parse(line).seq),
  }
}

/** A copy of a log in memory to which rows are appended. */
const startCopy = async (given: { before?: number; newest?: number; stallMs?: number } = {}) => {
  const store = createFakeStore()
  let rows: readonly Row[] = []
  const add = async (count: number) => {
    const more = chainRows(
      Array.from({ length: count }, (_, n) => allowEntry(rows.length + n)),
      headOf(rows),
    )
    await store.append(more, headOf(rows))
    rows = [...rows, ...more]
    return more
  }
  if (given.before !== undefined) await add(given.before)
  const sink = createLines(given.newest)
  const told: (string | undefined)[] = []
  const copy = await openCopy({
    store,
    lines: sink.lines,
    tell: (failure) => told.push(failure),
    retryMs: 5,
    stallMs: given.stallMs ?? 5000,
    closeMs: 50,
  })
  copies.push(copy)
  return { ...sink, copy, told, write: async (count: number) => copy.onWritten(await add(count)) }
}

const copies: Copy[] = []
afterEach(async () => {
  for (const copy of copies.splice(0)) await copy.close()
})

const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, n) => first + n)

describe('the copy of the log', () => {
  test('has every entry once and in order', async () => {
    const { write, seqs, copy } = await startCopy()
    for (const count of [1, 3, 600, 2]) await write(count)
    await expect.poll(seqs).toEqual(upTo(606))
    expect(copy.check()).toEqual({ ok: true })
  })

  test('begins with what is written from now on', async () => {
    const { write, seqs } = await startCopy({ before: 5 })
    await write(2)
    await expect.poll(seqs).toEqual([6, 7])
  })

  test('goes on after the newest that is there, at once', async () => {
    const { seqs } = await startCopy({ before: 700, newest: 3 })
    await expect.poll(seqs).toEqual(upTo(700, 4))
  })

  test('says so where the newest that is there is of another log', async () => {
    const { write, seqs, told } = await startCopy({ before: 5, newest: 9 })
    expect(told).toEqual(['the newest line is entry 9, and the log ends at 5'])
    await write(1)
    await expect.poll(seqs).toEqual([6])
  })

  test('holds nobody up while it fails, says so once, and misses nothing', async () => {
    const { write, seqs, copy, told, breakWith } = await startCopy()
    await write(1)
    await expect.poll(seqs).toEqual([1])
    breakWith('fail')
    for (let n = 0; n < 30; n++) await write(50)
    await expect.poll(() => copy.check()).toEqual({ ok: false, reason: 'ENOSPC' })
    await sleep(20)
    expect(told).toEqual(['ENOSPC'])
    breakWith(undefined)
    await expect.poll(seqs).toEqual(upTo(1501))
    await expect.poll(() => told).toEqual(['ENOSPC', undefined])
    await write(1)
    await expect.poll(seqs).toEqual(upTo(1502))
  })

  test('says so where nobody takes the entries, and goes on when somebody does', async () => {
    const { write, seqs, copy, breakWith } = await startCopy({ stallMs: 10 })
    breakWith('hang')
    await write(1)
    await write(1200)
    const stalled = { ok: false, reason: 'nobody takes the entries' }
    await expect.poll(() => copy.check()).toEqual(stalled)
    breakWith(undefined)
    await expect.poll(seqs).toEqual(upTo(1201))
    expect(copy.check()).toEqual({ ok: true })
  })

  test('gives up what is left at a close, and says what that is', async () => {
    const { write, copy, told, breakWith } = await startCopy()
    breakWith('hang')
    await write(2)
    await copy.close()
    expect(told).toEqual(['entries 1 to 2 are not in the copy'])
  })
})

describe('a file of lines', () => {
  let now = 0
  const openLines = (path: string) => openCopyFile(path, () => now)

  test('is made for its owner alone, and grows', async () => {
    const path = join(makeDirectory(), 'log.jsonl')
    const lines = await openLines(path)
    expect(lines.newest).toBeUndefined()
    await lines.write('{"seq":1}\n')
    await lines.write('{"seq":2}\n{"seq":3}\n')
    await lines.close()
    expect(readFileSync(path, 'utf8')).toBe('{"seq":1}\n{"seq":2}\n{"seq":3}\n')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const again = await openLines(path)
    expect(again.newest).toBe(3)
    await again.close()
  })

  test.each([
    ['half a line', '{"seq":1}\n{"seq":2}\n{"seq":3,"ty', 2],
    ['a whole line without its end', '{"seq":1}\n{"seq":2}', 1],
    ['zeros', `{"seq":7}\n${'\0'.repeat(100)}`, 7],
    ['something else', '{"seq":7}\nhello\n{"seq":"8"}\n[]\n', 7],
    ['nothing of ours', 'hello', undefined],
  ])('that ends with %s goes on in a line of its own', async (_what, text, newest) => {
    const path = join(makeDirectory(), 'log.jsonl')
    writeFileSync(path, text)
    const lines = await openLines(path)
    expect(lines.newest).toBe(newest)
    await lines.write('{"seq":9}\n')
    await lines.close()
    expect(readFileSync(path, 'utf8')).toBe(`${text}${text.endsWith('\n') ? '' : '\n'}{"seq":9}\n`)
  })

  test('that was moved away is made anew, and one that was emptied is filled again', async () => {
    const path = join(makeDirectory(), 'log.jsonl')
    const lines = await openLines(path)
    await lines.write('{"seq":1}\n')
    renameSync(path, `${path}.1`)
    await lines.write('{"seq":2}\n')
    expect(existsSync(path)).toBe(false)
    now += 1000
    await lines.write('{"seq":3}\n')
    writeFileSync(path, '')
    await lines.write('{"seq":4}\n')
    await lines.close()
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('{"seq":1}\n{"seq":2}\n')
    expect(readFileSync(path, 'utf8')).toBe('{"seq":4}\n')
  })

  test('that cannot be written is refused at the start', async () => {
    await expect(openLines(join(makeDirectory(), 'none', 'log.jsonl'))).rejects.toMatchObject({
      code: 'invalid_config',
      message: 'The copy of the log cannot be written.',
      hint: 'name a file in a directory that exists under audit.copy in postern.yaml',
    })
  })

  test('follows a log over a restart without a gap', async () => {
    const path = join(makeDirectory(), 'log.jsonl')
    const store = createFakeStore()
    const rows = chainRows(Array.from({ length: 30 }, (_, n) => allowEntry(n)))
    const open = async () =>
      openCopy({ store, lines: await openLines(path), tell: () => {}, closeMs: 1000 })
    const first = await open()
    await store.append(rows.slice(0, 10), undefined)
    first.onWritten(rows.slice(0, 10))
    await first.close()
    appendFileSync(path, '{"seq":99')
    // These were durable when the process was killed, and in no copy.
    await store.append(rows.slice(10), headOf(rows.slice(0, 10)))
    const second = await open()
    await second.close()
    const lines = readFileSync(path, 'utf8').split('\n')
    expect(lines[10]).toBe('{"seq":99')
    const whole = lines.filter((line) => line.endsWith('}'))
    expect(whole.map((line) => JSON.parse(line).seq)).toEqual(upTo(30))
  })
})
