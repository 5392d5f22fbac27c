import { afterEach, describe, expect, test, vi } from 'vitest'
import { createOutput, escapeText, type Sink } from '../../src/cli/output.ts'
import { formatBar } from '../../src/cli/progress.ts'
import { withSpinner } from '../../src/cli/spinner.ts'
import { AppError } from '../../src/errors.ts'

const open = (more: { isTTY?: boolean; env?: Record<string, string> } = {}) => {
  const written = { stdout: '', stderr: '' }
  const sink = (name: keyof typeof written): Sink => ({
    isTTY: more.isTTY ?? false,
    write: (text) => {
      written[name] += text
    },
  })
  const output = createOutput({
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env: more.env ?? {},
  })
  return { output, written }
}

// ATTACKS 198: whoever names themselves or gives a reason writes to the admin's terminal.
const hostile = [
  ['a line feed forges a line', 'ok\nallow', 'ok\\u{a}allow'],
  ['a carriage return overwrites it', 'deny\rallow', 'deny\\u{d}allow'],
  ['an escape sequence hides it', '\u001b[2Kx', '\\u{1b}[2Kx'],
  ['so does the one-byte form', '\u009b2Kx', '\\u{9b}2Kx'],
  ['a bell and a backspace', '\u0007\u0008', '\\u{7}\\u{8}'],
  ['a right-to-left override reverses it', 'a\u202eb', 'a\\u{202e}b'],
  ['isolates and marks do too', '\u2066\u2069\u200f\u061c', '\\u{2066}\\u{2069}\\u{200f}\\u{61c}'],
  ['line and paragraph separators', '\u2028\u2029', '\\u{2028}\\u{2029}'],
  ['what cannot be seen', 'a\u200bb\u00ad\ufeff', 'a\\u{200b}b\\u{ad}\\u{feff}'],
  ['tag characters', '\u{e0041}', '\\u{e0041}'],
  ['half a character', '\ud800', '\\u{d800}'],
] as const

describe('what comes out of the log', () => {
  test.each(hostile)('%s: it is written out (ATTACKS 198)', (_what, text, escaped) => {
    expect(escapeText(text)).toBe(escaped)
    const { output, written } = open()
    output.line(text)
    output.table(['who'], [[text]])
    output.facts([['name', text]])
    expect(written.stdout).toBe(`${escaped}\nwho\n${escaped}\nname  ${escaped}\n`)
  })

  test.each(hostile)('%s: JSON has it escaped, and means the same (ATTACKS 198)', (_what, text) => {
    const { output, written } = open()
    output.json({ name: text, [text]: 1 })
    expect(written.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    expect(written.stdout.split('\n')).toHaveLength(5)
    expect(JSON.parse(written.stdout)).toEqual({ name: text, [text]: 1 })
  })

  test('that names a person in their own script stays as it is', () => {
    expect(escapeText('Zoë Müller 李明 مايا 🙂')).toBe('Zoë Müller 李明 مايا 🙂')
  })
})

describe('a reader of the result', () => {
  const openPipe = () => {
    const done: (() => void)[] = []
    let fail: ((error: NodeJS.ErrnoException) => void) | undefined
    const stdout = {
      writableLength: 0,
      write(text: string, taken?: () => void) {
        stdout.writableLength += text.length
        if (taken !== undefined) done.push(taken)
      },
      on: (_event: 'error', listener: (error: NodeJS.ErrnoException) => void) => {
        fail = listener
      },
    }
    const stderr = { write: () => {} }
    const output = createOutput({ stdout, stderr, env: {} })
    return {
      output,
      done,
      fail: (code: string) => fail?.(Object.assign(new Error(code), { code })),
    }
  }

  test('who is slow is waited for', async () => {
    const { output, done } = openPipe()
    expect(await output.settle()).toBe(true)
    output.line('a')
    let isSettled = false
    const settled = output.settle().then((isOpen) => {
      isSettled = true
      return isOpen
    })
    await new Promise(setImmediate)
    expect(isSettled).toBe(false)
    for (const taken of done) taken()
    expect(await settled).toBe(true)
  })

  test('who has gone is noticed', async () => {
    const { output, fail } = openPipe()
    output.line('a')
    fail('EPIPE')
    expect(await output.settle()).toBe(false)
    fail('ENOSPC')
    await expect(output.settle()).rejects.toThrow('ENOSPC')
  })
})

describe('the output', () => {
  test('aligns columns and leaves no space at a line’s end', () => {
    const { output, written } = open()
    output.table(
      ['#', 'who'],
      [
        ['1', 'maya'],
        ['100', ''],
      ],
    )
    output.facts([
      ['seq', '1'],
      ['absent', undefined],
      ['request', 'req_1'],
    ])
    expect(written.stdout).toBe('#    who\n1    maya\n100\nseq      1\nrequest  req_1\n')
  })

  test('prints no table without rows', () => {
    const { output, written } = open()
    output.table(['#', 'who'], [])
    expect(written.stdout).toBe('')
  })

  test('tells errors on stderr, each line of them, with what mends them', () => {
    const { output, written } = open()
    output.error(new AppError('invalid_config', 'a\nb', { detail: 'why\u001b', hint: 'do this' }))
    expect(written).toEqual({
      stdout: '',
      stderr: 'error: a\nerror: b\ndetail: why\\u{1b}\nhint: do this\n',
    })
  })

  test.each([
    [new Error('disk gone'), 'error: disk gone\n'],
    ['thrown text', 'error: thrown text\n'],
  ])('tells of an error that is none of ours', (error, text) => {
    const { output, written } = open()
    output.error(error)
    expect(written.stderr).toBe(text)
  })

  test('has colour on a terminal alone, and not with NO_COLOR', () => {
    const print = (more: Parameters<typeof open>[0]) => {
      const { output, written } = open(more)
      output.table(['type'], [['allow'], ['constructor']])
      output.warning('w')
      return written
    }
    const plain = { stdout: 'type\nallow\nconstructor\n', stderr: 'warning: w\n' }
    expect(print({})).toEqual(plain)
    expect(print({ isTTY: true, env: { NO_COLOR: '1' } })).toEqual(plain)
    expect(print({ isTTY: true, env: { NO_COLOR: '' } })).toEqual({
      stdout: 'type\n\u001b[32mallow\u001b[39m\nconstructor\n',
      stderr: '\u001b[33mwarning:\u001b[39m w\n',
    })
  })

  test('shows progress on a terminal alone', () => {
    const { output, written } = open()
    output.progress('1 of 2')
    expect(written.stderr).toBe('')
    const terminal = open({ isTTY: true })
    terminal.output.progress('1 of 2')
    expect(terminal.written.stderr).toBe('\r\u001b[2K1 of 2')
  })

  test('is quiet about a reader that has gone, and about nothing else', async () => {
    const listeners: ((error: NodeJS.ErrnoException) => void)[] = []
    const sink: Sink = { write: () => true, on: (_event, listener) => listeners.push(listener) }
    const output = createOutput({ stdout: sink, stderr: sink, env: {} })
    const gone = Object.assign(new Error('gone'), { code: 'EPIPE' })
    const full = Object.assign(new Error('full'), { code: 'ENOSPC' })
    expect(listeners).toHaveLength(2)
    for (const listener of listeners) expect(() => listener(gone)).not.toThrow()
    expect(await output.settle()).toBe(false)
    for (const listener of listeners.slice(1)) expect(() => listener(full)).toThrow(full)
    listeners[0]?.(full)
    await expect(output.settle()).rejects.toThrow(full)
  })
})

describe('what takes over a second', () => {
  afterEach(() => {
    vi.useRealTimers()
  })
  /** What a terminal is sent while something takes so long, and whether it is wiped in the end. */
  const spin = async (millis: number, isTTY = true) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    const { output, written } = open({ isTTY })
    const work = () => new Promise<string>((resolve) => setTimeout(resolve, millis, 'done'))
    const spinning = withSpinner(output, 'asking the service', work)
    await vi.advanceTimersByTimeAsync(millis)
    expect(await spinning).toBe('done')
    expect(vi.getTimerCount()).toBe(0)
    return written.stderr
  }

  test('shows on a terminal that it goes on, and leaves nothing there', async () => {
    const wipe = '\r\u001b[2K'
    expect(await spin(1_300)).toBe(`${wipe}| asking the service${wipe}/ asking the service${wipe}`)
  })

  test('shows nothing where it is quicker, or there is no terminal', async () => {
    expect(await spin(900)).toBe('')
    expect(await spin(1_300, false)).toBe('')
  })

  test('leaves nothing there either where it fails', async () => {
    const { output, written } = open({ isTTY: true })
    await expect(withSpinner(output, 'x', () => Promise.reject(new Error('no')))).rejects.toThrow(
      'no',
    )
    expect(written.stderr).toBe('')
  })
})

describe('how far something is', () => {
  test.each([
    { what: 'a third', share: 1 / 3, bar: '##########', percent: '33' },
    { what: 'more than all', share: 1.2, bar: '#'.repeat(30), percent: '100' },
    { what: 'less than nothing, in a log that grew since', share: 1 - 4, bar: '', percent: '0' },
    { what: 'a share of nothing', share: 1 - 0 / 0, bar: '', percent: '0' },
  ])('is told of $what', ({ share, bar, percent }) => {
    expect(formatBar(share, 'x')).toBe(`[${bar.padEnd(30)}] ${percent.padStart(3)} %  x`)
  })
})
