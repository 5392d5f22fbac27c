import { describeStore } from '../contracts/audit-store.ts'
import { createFakeStore } from '../fakes/audit-store.ts'

describeStore('in-memory', async () => createFakeStore())
