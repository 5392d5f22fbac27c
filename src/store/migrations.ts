import type Database from 'better-sqlite3'
import { AppError } from '../errors.ts'

/** One step of the database's shape. A step is never edited once released: the next one follows. */
export interface Migration {
  readonly name: string
  readonly statements: readonly string[]
}

/** Where each value that is searched for is read from: the body is the only truth. */
export const columns = {
  time: '$.time',
  type: '$.type',
  request_id: '$.request.id',
  issuer: '$.identity.issuer',
  subject: '$.identity.subject',
  name: '$.identity.name',
  host: '$.ask.host',
  login: '$.ask.login',
  rule: '$.rule.name',
  code: '$.code',
  serial: '$.certificate.serial',
  key_id: '$.certificate.keyId',
  fingerprint: '$.ask.fingerprint',
  policy: '$.policy',
} as const

const generated = Object.entries(columns).map(
  ([name, path]) => `${name} TEXT GENERATED ALWAYS AS (json_extract(body, '${path}')) VIRTUAL`,
)

/** Those that an index is over. SQLite works out every generated column of a row that is inserted. */
const indexed: readonly string[] = ['type', 'serial', 'policy']

/** The types that a log may be full of. What every start asks for is rare, and so is every type to come. */
export const frequent: readonly string[] = ['allow', 'deny', 'error', 'refusals', 'read']

/** SQLite finds a partial index only where a query says its condition word by word: this never changes. */
export const rare = frequent.map((type) => `type <> '${type}'`).join(' AND ')

/** REPLACE deletes the row it collides with, past any DELETE trigger: so a collision is refused first. */
const refuseInsert = `NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entries)
  OR EXISTS (SELECT 1 FROM entries WHERE serial = NEW.serial)`

const refuse = (event: string, when = '1') => `
  CREATE TRIGGER entries_refuse_${event.toLowerCase()} BEFORE ${event} ON entries WHEN ${when}
  BEGIN SELECT RAISE(ABORT, 'entries is append-only: no ${event} here'); END`

export const migrations: readonly Migration[] = [
  {
    name: 'entries',
    statements: [
      `CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL,
        ${generated.join(',\n')}
      ) STRICT`,
      // Each index costs every certificate CPU: only those that are asked for on the way to one.
      'CREATE UNIQUE INDEX entries_serial ON entries (serial) WHERE serial IS NOT NULL',
      `CREATE INDEX entries_policy ON entries (policy) WHERE type = 'policy'`,
      // Every start asks for the newest of each, and nearly every log has none.
      `CREATE INDEX entries_freeze ON entries (type) WHERE type = 'freeze' OR type = 'unfreeze'`,
      refuse('UPDATE'),
      refuse('DELETE'),
      refuse('INSERT', refuseInsert),
    ],
  },
  {
    // A cache: what stands in 256 entries, so that a search can pass them over (summaries.ts).
    name: 'summaries',
    statements: [
      `CREATE TABLE summaries (segment INTEGER PRIMARY KEY,
        since TEXT NOT NULL, until TEXT NOT NULL, terms BLOB NOT NULL) STRICT`,
    ],
  },
  {
    // The newest report of each host (hosts/reports.ts): what it has, not what anyone did.
    name: 'reports',
    statements: [
      `CREATE TABLE reports (host TEXT PRIMARY KEY, version INTEGER NOT NULL,
        time TEXT NOT NULL, seen_at TEXT NOT NULL) STRICT, WITHOUT ROWID`,
    ],
  },
  {
    // Another cache: whose each of 256 entries is, so that a person's are found one by one (places.ts).
    name: 'people',
    statements: ['CREATE TABLE people (segment INTEGER PRIMARY KEY, cells BLOB NOT NULL) STRICT'],
  },
  {
    // Reads the whole log once: about 2 s of CPU, and 2 GB of the disk, for a million entries.
    name: 'rare',
    statements: [
      'DROP INDEX entries_freeze',
      // Of a virtual column nothing stands in the rows: this changes the table's definition alone.
      ...Object.keys(columns)
        .filter((name) => !indexed.includes(name))
        .map((name) => `ALTER TABLE entries DROP COLUMN ${name}`),
      `CREATE INDEX entries_rare ON entries (type) WHERE ${rare}`,
    ],
  },
]

/**
 * Brings the database to the newest version, each step in a transaction of its own: one that was
 * killed has not happened, and runs again.
 * @throws AppError `invalid_config` where a newer postern has been here.
 */
export const migrate = (connection: Database, steps: readonly Migration[] = migrations): void => {
  connection.exec(`CREATE TABLE IF NOT EXISTS migrations
    (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT`)
  const done = checkVersion(connection, steps)
  const run = connection.transaction(({ name, statements }: Migration, version: number) => {
    for (const statement of statements) connection.exec(statement)
    connection.prepare('INSERT INTO migrations (version, name) VALUES (?, ?)').run(version, name)
  })
  for (const [index, step] of steps.entries()) if (index >= done) run.immediate(step, index + 1)
}

/** The version the database has. @throws AppError `invalid_config` where it is newer than ours. */
export const checkVersion = (
  connection: Database,
  steps: readonly Migration[] = migrations,
): number => {
  const select = 'SELECT coalesce(max(version), 0) AS version FROM migrations'
  const { version } = connection.prepare(select).get() as { readonly version: number }
  if (version > steps.length) {
    throw new AppError('invalid_config', 'The log was written by a newer postern than this one.', {
      detail: `the database has version ${version}, this program knows ${steps.length}`,
      hint: 'run the newer postern again, or restore the log that this version wrote',
    })
  }
  return version
}
