import type { LoggedEntry } from '../audit/entry.ts'
import type { AllowEntry, DenyEntry, EntryIdentity, ErrorEntry } from '../audit/index.ts'
import { listEntries } from '../audit/read.ts'
import type { Store } from '../audit/store.ts'
import type { StoredAnswer, StoredAsk } from '../policy/replay.ts'

/** An entry that tells of an ask, and the ask as a policy can decide it again. */
export interface LoggedAsk {
  readonly seq: number
  readonly time: string
  readonly person: string
  readonly stored: StoredAsk
}

/** Asks of one page, newest first, and how many refusals of the page stand in it as a number only. */
export interface AskPage {
  readonly asks: readonly LoggedAsk[]
  readonly counted: number
  /** The time of its oldest entry. */
  readonly reached: string
}

const pageSize = 1000

/** The asks since a time, newest first, a page at a time: never the whole log at once. */
export const readAsks = async function* (
  store: Pick<Store, 'find'>,
  since: string,
): AsyncGenerator<AskPage> {
  let before: number | undefined
  for (;;) {
    const page = await listEntries(store, { since }, pageSize, before)
    const last = page.at(-1)
    if (last === undefined) return
    yield {
      asks: page.flatMap(toAsk),
      counted: page.reduce(
        (sum, { entry }) => sum + (entry.type === 'refusals' ? entry.count : 0),
        0,
      ),
      reached: last.entry.time,
    }
    before = last.seq
  }
}

/** The ask of an entry, where it tells of one that a policy can decide again. */
export const toAsk = ({ seq, entry }: LoggedEntry): readonly LoggedAsk[] => {
  if (entry.type !== 'allow' && entry.type !== 'deny' && entry.type !== 'error') return []
  const { identity, ask } = entry
  if (identity === undefined || ask === undefined) return []
  const known = readIdentity(identity)
  if (known === undefined) return []
  const { fingerprint: _, ...wanted } = ask
  return [
    {
      seq,
      time: entry.time,
      person: `${identity.name} (${identity.subject})`,
      stored: {
        identity: known,
        ask: wanted,
        at: new Date(entry.time),
        address: entry.request.address,
        hasProof: entry.proof !== undefined,
        lookUps: readLookUps(entry),
        before: readDecision(entry),
      },
    },
  ]
}

type AskEntry = AllowEntry | DenyEntry | ErrorEntry

/** Nobody else than a provider's caller asks for certificates. */
const readIdentity = (identity: EntryIdentity): StoredAsk['identity'] | undefined => {
  const { kind, issuedAt, authenticatedAt, expiresAt, ...rest } = identity
  if (kind !== 'github' && kind !== 'oidc') return undefined
  const times = { issuedAt, authenticatedAt, expiresAt }
  return {
    ...rest,
    kind,
    claims: rest.claims as StoredAsk['identity']['claims'],
    ...Object.fromEntries(
      Object.entries(times).flatMap(([name, time]) =>
        time === undefined ? [] : [[name, new Date(time)]],
      ),
    ),
  }
}

const readLookUps = ({ lookUps = [] }: AskEntry): ReadonlyMap<string, StoredAnswer> =>
  new Map(
    lookUps.map(({ question, answer, orgId, teamId }) => [
      question,
      {
        isActive: answer === 'active',
        ...(orgId === undefined ? {} : { orgId }),
        ...(teamId === undefined ? {} : { teamId }),
      },
    ]),
  )

const readDecision = (entry: AskEntry): StoredAsk['before'] => ({
  kind: entry.type,
  ...('code' in entry ? { code: entry.code } : {}),
  ...(entry.rule === undefined ? {} : { rule: entry.rule.name }),
  ...(entry.quota === undefined ? {} : { most: entry.quota.most }),
})
