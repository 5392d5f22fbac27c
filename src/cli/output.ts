import { AppError } from '../errors.ts'
import { escapeJson } from '../lib/json.ts'

/**
 * The only file that prints. Results go to stdout; everything about them (errors, hints, warnings,
 * progress) to stderr, so that `postern … | next` gets results alone. Whatever comes out of the log
 * or a file is escaped: a terminal obeys control characters, and bidirectional ones reorder a line.
 */
export interface Output {
  /** Whether somebody may be asked something: what is said beside the result reaches a terminal. */
  readonly isTerminal: boolean
  /** One line of the result. */
  line(text: string): void
  /** Text of our own as it is: a template, a help page. */
  text(text: string): void
  /** The result as one JSON document. */
  json(value: unknown): void
  /** Rows in aligned columns under their titles; nothing where there are none. */
  table(titles: readonly string[], rows: readonly (readonly string[])[]): void
  /** Names and values, aligned; absent values are left out. */
  facts(pairs: readonly (readonly [string, string | undefined])[]): void
  /** Something said beside the result: `note: …`. */
  note(text: string): void
  warning(text: string): void
  /** Help that was not asked for. */
  help(text: string): void
  /** `error: …` for each line of its message, then `detail: …` and `hint: …` where it has them. */
  error(error: unknown): void
  /** A line that the next one overwrites; on a terminal only. */
  progress(text: string): void
  /** Waits until the result so far has been taken; false once nobody reads it. Throws where it cannot be written. */
  settle(): Promise<boolean>
}

/** As much of a stream as we use. */
export interface Sink {
  write(text: string, done?: () => void): unknown
  /** What was written to a pipe and nobody has read yet. */
  readonly writableLength?: number
  readonly isTTY?: boolean
  on?(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown
}

const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Text with every control, format and line-separating character written out, as `\u{202e}`. */
export const escapeText = (text: string): string =>
  text.replace(unsafe, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)

/** Line by line: whatever ends a line inside a string is escaped already. */
const formatJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).split('\n').map(escapeJson).join('\n')

const colours = { red: 31, green: 32, yellow: 33 } as const

/** The words that are coloured where they are a whole cell: what became of an ask. */
const colourOf: Readonly<Record<string, keyof typeof colours>> = {
  allow: 'green',
  deny: 'yellow',
  error: 'red',
}

export const createOutput = (given: {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly env: Readonly<Record<string, string | undefined>>
}): Output => {
  const { stdout, stderr } = given
  let failure: NodeJS.ErrnoException | undefined
  stdout.on?.('error', (error) => {
    failure = error
  })
  stderr.on?.('error', ignoreClosedPipe)
  // https://no-color.org: set and not empty.
  const isPlain = Boolean(given.env['NO_COLOR'])
  const paint = (sink: Sink, colour: keyof typeof colours | undefined, text: string) =>
    sink.isTTY === true && !isPlain && colour !== undefined
      ? `\u001b[${colours[colour]}m${text}\u001b[39m`
      : text
  const print = (line: string) => stdout.write(`${line}\n`)
  const tell = (label: string, text: string, colour?: keyof typeof colours) => {
    for (const line of text.split('\n')) {
      stderr.write(`${paint(stderr, colour, `${label}:`)} ${escapeText(line)}\n`)
    }
  }
  const align = (rows: readonly (readonly string[])[], paintCell: (cell: string) => string) => {
    const widths: number[] = []
    for (const row of rows) {
      row.forEach((cell, at) => {
        widths[at] = Math.max(widths[at] ?? 0, cell.length)
      })
    }
    for (const row of rows) {
      const cells = row.map(
        (cell, at) => paintCell(cell) + ' '.repeat((widths[at] as number) - cell.length),
      )
      print(cells.join('  ').trimEnd())
    }
  }

  return Object.freeze({
    isTerminal: stderr.isTTY === true,
    line: (text: string) => void print(escapeText(text)),
    text: (text: string) => void stdout.write(text),
    json: (value: unknown) => void print(formatJson(value)),
    table(titles: readonly string[], rows: readonly (readonly string[])[]) {
      if (rows.length === 0) return
      align([titles, ...rows.map((row) => row.map(escapeText))], (cell) =>
        paint(stdout, Object.hasOwn(colourOf, cell) ? colourOf[cell] : undefined, cell),
      )
    },
    facts(pairs: readonly (readonly [string, string | undefined])[]) {
      align(
        pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, escapeText(value)]])),
        (cell) => cell,
      )
    },
    note: (text: string) => tell('note', text),
    warning: (text: string) => tell('warning', text, 'yellow'),
    help: (text: string) => void stderr.write(text),
    error(error: unknown) {
      const { message, detail, hint } = describe(error)
      tell('error', message, 'red')
      if (detail !== undefined) tell('detail', detail)
      if (hint !== undefined) tell('hint', hint)
    },
    progress(text: string) {
      if (stderr.isTTY === true) stderr.write(`\r\u001b[2K${escapeText(text)}`)
    },
    async settle() {
      if (failure === undefined && (stdout.writableLength ?? 0) > 0) {
        await new Promise<void>((resolve) => stdout.write('', () => resolve()))
      }
      if (failure !== undefined) ignoreClosedPipe(failure)
      return failure === undefined
    },
  })
}

/** `postern audit list | head` is nobody's mistake. */
const ignoreClosedPipe = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'EPIPE') throw error
}

const describe = (
  error: unknown,
): { message: string; detail?: string | undefined; hint?: string | undefined } => {
  if (error instanceof AppError) return error
  return { message: error instanceof Error ? error.message : String(error) }
}
