import { join } from 'node:path'
import { openStore } from '../../src/store/index.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { describeStore } from '../contracts/audit-store.ts'
import { useDirectories } from '../fakes/directory.ts'

const makeDirectory = useDirectories()

describeStore('SQLite', () => openSqlite(join(makeDirectory(), 'postern.db')))
describeStore('threaded SQLite', () => openStore(join(makeDirectory(), 'postern.db')))
