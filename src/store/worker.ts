import { parentPort, workerData } from 'node:worker_threads'
import type { Head } from '../audit/store.ts'
import { toStoreError } from './failures.ts'
import {
  type Answer,
  type Call,
  type Failure,
  type FlatRows,
  type Method,
  openingId,
  parseRows,
} from './protocol.ts'
import { openSqlite } from './sqlite.ts'

if (parentPort === null) throw new TypeError('this file runs in a worker of store/thread.ts')
const port = parentPort

const formatFailure = (error: unknown): Failure => {
  const { code, message, detail, hint } = toStoreError(error)
  return {
    code,
    message,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  }
}

const answer = async (id: number, work: () => Promise<unknown>): Promise<void> => {
  const reply: Answer = await work().then(
    (value) => ({ id, value }),
    (error) => ({ id, failure: formatFailure(error) }),
  )
  port.postMessage(reply)
  if (id === openingId && reply.failure !== undefined) port.close()
}

let calls: Readonly<Record<Method, unknown>>
await answer(openingId, async () => {
  const store = await openSqlite((workerData as { readonly path: string }).path)
  const append = (rows: FlatRows, head: Head | undefined) => store.append(parseRows(rows), head)
  calls = { ...store, append }
})

port.on('message', ({ id, method, args }: Call) => {
  const call = calls[method] as (...args: readonly unknown[]) => Promise<unknown>
  void answer(id, () => call(...args)).then(() => {
    if (method === 'close') port.close()
  })
})
