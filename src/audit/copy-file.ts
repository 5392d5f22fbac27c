import { type FileHandle, open, stat } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import type { Lines } from './copy.ts'

/** Of a file that grows for years only the end is read; a line may hold whole policies. */
const tailBytes = 4 * 1024 * 1024
/** How often it is looked whether the file was moved away. */
const lookMillis = 1000

/**
 * A file that lines are appended to, made where there is none (0600). It may be moved away at any
 * time, as logrotate does: within a second a new one takes its place. Code: `invalid_config` where
 * it cannot be written.
 */
export const openCopyFile = async (path: string, monotonic: () => number): Promise<Lines> => {
  const openFile = () => open(path, 'a+', 0o600)
  let file: FileHandle
  let newest: number | undefined
  let isLineOpen: boolean
  try {
    file = await openFile()
    const end = await readEnd(file)
    newest = findNewest(end)
    isLineOpen = end !== '' && !end.endsWith('\n')
  } catch (cause) {
    throw new AppError('invalid_config', 'The copy of the log cannot be written.', {
      detail: cause instanceof Error ? cause.message : String(cause),
      hint: 'name a file in a directory that exists under audit.copy in postern.yaml',
      cause,
    })
  }
  let lookedAt = monotonic()

  const follow = async (): Promise<void> => {
    if (monotonic() - lookedAt < lookMillis) return
    lookedAt = monotonic()
    const found = await stat(path).catch(() => undefined)
    const own = await file.stat()
    if (found?.ino === own.ino && found.dev === own.dev) return
    const fresh = await openFile()
    await file.close()
    file = fresh
    isLineOpen = false
  }

  return Object.freeze({
    newest,
    async write(text: string) {
      await follow()
      // What a failed write or a power cut has left stands in a line of its own.
      const whole = isLineOpen ? `\n${text}` : text
      isLineOpen = true
      await file.appendFile(whole)
      isLineOpen = false
    },
    close: () => file.close(),
  })
}

const readEnd = async (file: FileHandle): Promise<string> => {
  const { size } = await file.stat()
  const length = Math.min(size, tailBytes)
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length)
  return buffer.toString('utf8')
}

/** The number of the newest entry with a whole line. */
const findNewest = (end: string): number | undefined => {
  for (const line of end.split('\n').slice(0, -1).reverse()) {
    try {
      const { seq } = JSON.parse(line) as { readonly seq?: unknown }
      if (typeof seq === 'number' && Number.isSafeInteger(seq)) return seq
    } catch {
      // Half a line: the one before it is whole.
    }
  }
  return undefined
}
