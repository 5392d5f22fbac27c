import type { Store } from '../audit/store.ts'

/** The door of the store: the log for its service (in a thread), for readers, and the service's lock. */
export { type Lock, openLock } from './lock.ts'
export { openThread as openStore } from './thread.ts'

// Loaded by who reads: to the service, whose thread has its own, they would be a tenth of its start.

/** As reader.ts has it. */
export const openReader = async (path: string): Promise<Store> =>
  (await import('./reader.ts')).openReader(path)

/** As reader.ts has it. */
export const copyLog = async (path: string, target: string): Promise<void> =>
  (await import('./reader.ts')).copyLog(path, target)
