import { AppError } from '../errors.ts'
import { decodeBase64, encodeUtf8 } from '../lib/bytes.ts'
import { type Clock, formatTime } from '../lib/clock.ts'
import { findSshsigFault } from '../ssh/sshsig.ts'
import type { Host, HostReport } from './index.ts'

/** A report with the host it is of, as the store keeps it. */
export interface StoredReport extends HostReport {
  readonly host: string
}

/**
 * Where reports outlive a restart. They are no entries: each host sends one every few minutes, and
 * only the newest says anything. `saveReports` is all or nothing; a later one of a host takes the
 * place of the one before.
 */
export interface ReportStore {
  saveReports(reports: readonly StoredReport[]): Promise<void>
  listReports(): Promise<readonly StoredReport[]>
}

export interface Reports {
  /** The newest of each host. */
  readonly newest: ReadonlyMap<string, HostReport>
  /**
   * Takes a host's report where it is by one of its pinned keys, of this time, and not older than
   * the one before. Code: `report_refused`, always with the same sentence.
   */
  take(host: Host, text: string): HostReport
  /** Writes what has come; rejects where that cannot be, and then tries again with the next. */
  flush(): Promise<void>
}

export const reportNamespace = 'postern-host@v1'

/** How far a host's clock may be from ours, and for how long a report can be sent. */
const windowMillis = 10 * 60_000

const form =
  /^(postern-report v1\nhost ([a-z0-9.-]{1,253})\nversion (0|[1-9][0-9]{0,14})\ntime (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\nend\n)(-----BEGIN SSH SIGNATURE-----\r?\n[\s\S]+)$/

const refuse = (detail: string): AppError =>
  new AppError(
    'report_refused',
    'The report is not accepted: it must be signed by a host key of this host, and be of this moment.',
    { detail },
  )

/** @throws AppError of the store */
export const openReports = async (deps: {
  readonly store: ReportStore
  readonly clock: Clock
}): Promise<Reports> => {
  const { store, clock } = deps
  const newest = new Map(
    (await store.listReports()).map(({ host, ...report }) => [host, report] as const),
  )
  let unsaved = new Set<string>()

  return Object.freeze({
    newest,
    take({ name, hostKeys }: Host, text: string) {
      const at = clock()
      const [, message = '', host, version, time = '', signature = ''] = form.exec(text) ?? []
      if (host !== name) throw refuse('it is no report of this host')
      const made = Date.parse(time)
      if (!(Math.abs(made - at.getTime()) <= windowMillis)) throw refuse('its time is not ours')
      if (made < Date.parse(newest.get(name)?.time ?? time)) throw refuse('there is a newer one')
      const wanted = { namespace: reportNamespace, message: encodeUtf8(message) }
      const faults = hostKeys.map((key) => {
        const publicKey = decodeBase64(key.split(' ')[1] ?? '') ?? new Uint8Array()
        return findSshsigFault(signature, { ...wanted, publicKey })
      })
      if (!faults.includes(undefined)) throw refuse(faults.join('; ') || 'no key is known of it')

      const report = Object.freeze({ version: Number(version), time, seenAt: formatTime(at) })
      newest.set(name, report)
      unsaved.add(name)
      return report
    },
    async flush() {
      if (unsaved.size === 0) return
      const names = unsaved
      unsaved = new Set()
      try {
        await store.saveReports(
          [...names].map((host) => ({ host, ...(newest.get(host) as HostReport) })),
        )
      } catch (error) {
        unsaved = new Set([...names, ...unsaved])
        throw error
      }
    },
  })
}

/** For a service whose log is not in a database: reports are known until it stops. */
export const memoryReports: ReportStore = Object.freeze({
  saveReports: async () => {},
  listReports: async () => [],
})
