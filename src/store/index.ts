export { type Lock, openLock } from './lock.ts'
export { openReader } from './reader.ts'
export { openThread as openStore } from './thread.ts'
