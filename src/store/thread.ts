import { Worker } from 'node:worker_threads'
import type { Filter, Head, Row } from '../audit/store.ts'
import { AppError } from '../errors.ts'
import type { StoredReport } from '../hosts/reports.ts'
import { storeError } from './failures.ts'
import {
  type Answer,
  type Call,
  type Failure,
  formatRows,
  type Method,
  openingId,
} from './protocol.ts'
import type { WholeStore } from './sqlite.ts'

/** How long `close` waits for a disk that stalls, in milliseconds. */
const closeTimeout = 5000

/**
 * The log in SQLite, in a thread of its own: neither an fsync nor a disk that stalls holds the
 * event loop. The same promises as openSqlite; `close` comes after the calls that were made before
 * it, but for a search that is still under way.
 * Once the worker has died every call rejects with `audit_unavailable`.
 */
export const openThread = async (path: string): Promise<WholeStore> => {
  const isSource = import.meta.url.endsWith('.ts')
  const file = new URL(isSource ? './worker.ts' : './worker.js', import.meta.url)
  const worker = new Worker(file, { workerData: { path } })
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = openingId
  let death: AppError | undefined
  let closing: Promise<void> | undefined

  worker.on('message', ({ id, value, failure }: Answer) => {
    const promise = waiting.get(id)
    waiting.delete(id)
    if (failure === undefined) promise?.resolve(value)
    else promise?.reject(parseFailure(failure))
  })
  const die = (reason: string): void => {
    death ??= storeError('audit_unavailable', reason)
    for (const { reject } of waiting.values()) reject(death)
    waiting.clear()
  }
  worker.on('error', (error) => die(`the store's thread failed: ${error.message}`))
  worker.on('exit', (code) => die(`the store's thread has ended (${code})`))

  const expect = (id: number): Promise<unknown> => {
    const promise = Promise.withResolvers<unknown>()
    waiting.set(id, promise)
    return promise.promise
  }
  const post = (method: Method, args: readonly unknown[]): Promise<unknown> => {
    if (death !== undefined) return Promise.reject(death)
    last++
    worker.postMessage({ id: last, method, args } satisfies Call)
    return expect(last)
  }
  const ask = (method: Method, ...args: readonly unknown[]): Promise<unknown> =>
    closing === undefined
      ? post(method, args)
      : Promise.reject(storeError('audit_unavailable', 'the store is closed'))

  const close = async (): Promise<void> => {
    // A thread inside a system call cannot be ended: it is left behind, and goes with the process.
    const timer = setTimeout(() => {
      die(`the store has not closed within ${closeTimeout} ms`)
      worker.unref()
    }, closeTimeout)
    try {
      await post('close', [])
      await worker.terminate()
    } catch (error) {
      // A worker that is dead already has nothing left to close.
      if (error !== death) throw error
    } finally {
      clearTimeout(timer)
    }
  }

  await expect(openingId)
  return Object.freeze({
    append: (rows: readonly Row[], expected: Head | undefined) =>
      ask('append', formatRows(rows), expected) as Promise<void>,
    head: () => ask('head') as Promise<Head | undefined>,
    read: (from: number, limit: number) => ask('read', from, limit) as Promise<readonly Row[]>,
    find: (filter: Filter, limit: number, before?: number) =>
      ask('find', filter, limit, before) as Promise<readonly Row[]>,
    findAfter: (filter: Filter, limit: number, after: number) =>
      ask('findAfter', filter, limit, after) as Promise<readonly Row[]>,
    saveReports: (reports: readonly StoredReport[]) => ask('saveReports', reports) as Promise<void>,
    listReports: () => ask('listReports') as Promise<readonly StoredReport[]>,
    close: () => {
      closing ??= close()
      return closing
    },
  })
}

const parseFailure = ({ code, message, ...more }: Failure): AppError =>
  new AppError(code, message, more)
