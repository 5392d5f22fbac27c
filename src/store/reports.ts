import type Database from 'better-sqlite3'
import type { ReportStore, StoredReport } from '../hosts/reports.ts'

const select = 'SELECT host, version, time, seen_at AS seenAt FROM reports ORDER BY host'
const replace = `INSERT INTO reports (host, version, time, seen_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (host) DO UPDATE SET
    version = excluded.version, time = excluded.time, seen_at = excluded.seen_at`

/** The newest report of each host, in the database of the log; a reader may find one of before there were any. */
export const createReports = (connection: Database): ReportStore => {
  const save = connection.transaction((reports: readonly StoredReport[]) => {
    const statement = connection.prepare(replace)
    for (const { host, version, time, seenAt } of reports)
      statement.run(host, version, time, seenAt)
  })
  return Object.freeze({
    saveReports: async (reports: readonly StoredReport[]) => save.immediate(reports),
    listReports: async () => connection.prepare(select).all() as readonly StoredReport[],
  })
}
