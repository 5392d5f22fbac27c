import type { LoggedEntry } from '../audit/entry.ts'
import { parseEntry } from '../audit/entry.ts'
import type { Store } from '../audit/index.ts'
import { createRegistry, type Registry } from '../hosts/registry.ts'

const types = ['host-invite', 'host-enrol', 'host-remove'] as const
const pageSize = 1_000

/** What the log says of invitations and enrolments. @throws AppError of the store, `log_corrupt` */
export const readRegistry = async (store: Pick<Store, 'findAfter'>): Promise<Registry> => {
  const registry = createRegistry()
  const found = (await Promise.all(types.map((type) => readAll(store, type)))).flat()
  for (const entry of found.sort((a, b) => a.seq - b.seq)) apply(registry, entry)
  return registry
}

const readAll = async (
  store: Pick<Store, 'findAfter'>,
  type: (typeof types)[number],
): Promise<readonly LoggedEntry[]> => {
  const entries: LoggedEntry[] = []
  for (;;) {
    const rows = await store.findAfter({ type }, pageSize, entries.at(-1)?.seq ?? 0)
    entries.push(...rows.map(parseEntry))
    if (rows.length < pageSize) return entries
  }
}

const apply = (registry: Registry, { seq, entry }: LoggedEntry): void => {
  if (entry.type === 'host-invite') registry.applyInvite(entry.invitation)
  if (entry.type === 'host-remove') registry.applyRemove(entry.host.name, seq)
  if (entry.type !== 'host-enrol') return
  const host = { ...entry.host, enrolledAt: entry.time }
  registry.applyEnrol(host, entry.identity.subject, seq, false)
}
