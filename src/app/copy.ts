import { type Copy, type Lines, openCopy } from '../audit/copy.ts'
import { openCopyFile } from '../audit/copy-file.ts'
import type { Store } from '../audit/index.ts'
import type { Config } from '../config.ts'
import type { Metrics } from '../http/index.ts'
import type { Logger } from '../lib/log.ts'

/** What a stream tells when it has taken a text. */
interface Stream {
  write(text: string, done: (error?: Error | null) => void): unknown
  on(event: 'error', listener: () => void): unknown
}

/** The copy of the log that the configuration asks for, if it does. Code: `invalid_config` */
export const openConfiguredCopy = async (given: {
  readonly config: Config
  readonly store: Pick<Store, 'head' | 'read'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'countCopyFailure'>
  readonly monotonic: () => number
  readonly stdout: Stream
}): Promise<Copy | undefined> => {
  const { config, store, logger, metrics, monotonic, stdout } = given
  const place = config.audit.copy
  if (place === undefined) return undefined
  const lines =
    place.kind === 'stdout' ? createStreamLines(stdout) : await openCopyFile(place.path, monotonic)
  return openCopy({
    store,
    lines,
    tell(reason) {
      if (reason === undefined) return logger.warn('the copy of the log goes on')
      metrics.countCopyFailure()
      logger.error(
        { reason, copy: place },
        'the copy of the log is behind; certificates are issued',
      )
    },
  })
}

const createStreamLines = (stream: Stream): Lines => {
  let isLineOpen = false
  // Each failure is told to the write it belongs to; unheard, it would end the process.
  stream.on('error', () => {})
  return Object.freeze({
    newest: undefined,
    write: (text: string) =>
      new Promise<void>((resolve, reject) => {
        const whole = isLineOpen ? `\n${text}` : text
        isLineOpen = true
        stream.write(whole, (error) => {
          if (error) return reject(error)
          isLineOpen = false
          resolve()
        })
      }),
    close: async () => {},
  })
}
