/** How the demo reads: numbered steps, what was run, what came of it. */
export interface Screen {
  line(text?: string): void
  /** A command one could retype. */
  command(text: string): void
  /** What a program or the service answered, indented. */
  answer(text: string): void
  /** Runs a step under its number; tells its result, or throws an Error that names it. */
  step<T>(title: string, run: () => Promise<T>, describe: (result: T) => string): Promise<T>
}

const indent = '     '

export const createScreen = (
  write: (text: string) => void,
  { isColoured }: { readonly isColoured: boolean },
): Screen => {
  let count = 0
  const paint = (colour: number, text: string) =>
    isColoured ? `\u001b[${colour}m${text}\u001b[39m` : text
  const line = (text = '') => write(`${text}\n`)
  const indented = (text: string, first = '') => {
    const lines = text.trimEnd().split('\n')
    lines.forEach((one, at) => {
      line(`${indent}${at === 0 ? first : first.replace(/./g, ' ')}${one}`)
    })
  }
  return Object.freeze({
    line,
    command: (text: string) => indented(text, '$ '),
    answer: (text: string) => indented(text, '  '),
    async step<T>(title: string, run: () => Promise<T>, describe: (result: T) => string) {
      const number = ++count
      line(`${String(number).padStart(3)}  ${title}`)
      try {
        const result = await run()
        line(`${indent}${paint(32, '✓')} ${describe(result)}`)
        line()
        return result
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        line(`${indent}${paint(31, '✗')} ${reason}`)
        line()
        throw new Error(`step ${number} failed, "${title}": ${reason}`, { cause })
      }
    },
  })
}

/** Refuses what should have been otherwise. */
export const checkThat: (isSo: boolean, otherwise: string) => asserts isSo = (isSo, otherwise) => {
  if (!isSo) throw new Error(otherwise)
}
