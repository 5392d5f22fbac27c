import { AppError } from '../errors.ts'

/** When to give up. */
export interface Limits {
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds for all of it; no limit where it is left out. */
  readonly timeout?: number | undefined
}

/** The longest time a timer of Node's takes; a longer one would fire at once. */
const maxTimeout = 2 ** 31 - 1

/**
 * Does the work within limits. The work's signal is aborted with the error that is thrown, so whatever
 * waits on it ends with the same. Codes: `timeout`, `aborted`, `invalid_request`, and the work's own.
 */
export const runWithin = async <T>(
  { signal, timeout }: Limits,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  if (timeout !== undefined && !(timeout >= 1 && timeout <= maxTimeout)) {
    throw new AppError('invalid_request', 'The timeout is not valid: milliseconds, 1 or more.')
  }
  const controller = new AbortController()
  const stop = Promise.withResolvers<never>()
  const end = (error: AppError) => {
    controller.abort(error)
    stop.reject(error)
  }
  const onAbort = () =>
    end(new AppError('aborted', `${what} was called off.`, { cause: signal?.reason }))
  const onTimeout = () =>
    end(
      new AppError('timeout', `${what} took longer than ${timeout} ms.`, {
        hint: 'pass a longer `timeout`, in milliseconds, if that is how long it takes',
      }),
    )
  if (signal?.aborted === true) {
    throw new AppError('aborted', `${what} was called off.`, { cause: signal.reason })
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer = timeout === undefined ? undefined : setTimeout(onTimeout, timeout)
  try {
    return await Promise.race([stop.promise, work(controller.signal)])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
