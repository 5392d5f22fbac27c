import { type LoggedEntry, parseEntry } from './entry.ts'
import type { Filter, Store } from './store.ts'

/** Matching entries, newest first. @throws AppError `log_corrupt` where one is not readable. */
export const listEntries = async (
  store: Pick<Store, 'find'>,
  filter: Filter,
  limit: number,
  before?: number,
): Promise<readonly LoggedEntry[]> => (await store.find(filter, limit, before)).map(parseEntry)

/**
 * The entries a person can name: by number, by a certificate's serial, or by a request's id.
 * Empty where there is none. @throws AppError `log_corrupt` where one is not readable.
 */
export const findEntries = async (
  store: Pick<Store, 'find' | 'read'>,
  name: string,
): Promise<readonly LoggedEntry[]> => {
  if (!/^[1-9][0-9]{0,18}$/.test(name)) return listEntries(store, { requestId: name }, 100)
  const seq = Number(name)
  const numbered = Number.isSafeInteger(seq) ? await store.read(seq, 1) : []
  const issued = await store.find({ serial: name }, 1)
  const rows = [...numbered.filter((row) => row.seq === seq), ...issued]
  return rows.map(parseEntry)
}
