import type { Output } from './output.ts'

const frames = ['|', '/', '-', '\\']
const delayMs = 1_000
const stepMs = 120

/** Shows, on a terminal, that something which takes over a second is under way. */
export const withSpinner = async <T>(
  output: Output,
  text: string,
  work: () => Promise<T>,
): Promise<T> => {
  let turn: NodeJS.Timeout | undefined
  let at = 0
  const delay = setTimeout(() => {
    turn = setInterval(() => output.progress(`${frames[at++ % frames.length]} ${text}`), stepMs)
  }, delayMs)
  try {
    return await work()
  } finally {
    clearTimeout(delay)
    clearInterval(turn)
    if (at > 0) output.progress('')
  }
}
