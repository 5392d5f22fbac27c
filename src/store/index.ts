/** The door of the store: the log for its service (in a thread), for readers, and the service's lock. */
export { type Lock, openLock } from './lock.ts'
export { copyLog, openReader } from './reader.ts'
export { openThread as openStore } from './thread.ts'
