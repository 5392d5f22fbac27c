import { listEntries } from '../audit/read.ts'
import type { Store } from '../audit/store.ts'
import { AppError } from '../errors.ts'
import type { KnownPerson } from '../policy/reach.ts'
import { toAsk } from './asks.ts'

/** Entries of a person that are read for what GitHub once answered about them. */
const mostRead = 200

/** Somebody as the log knows them, and the time and number of the entry that did last. */
export interface FoundPerson extends KnownPerson {
  readonly time: string
  readonly seq: number
}

/**
 * The person of a stable id, or of a name that only one person has. Groups and claims are those of the
 * newest ask. Codes: `not_found`, and `usage` where several are meant.
 */
export const findPerson = async (
  store: Pick<Store, 'find'>,
  name: string,
  issuer: string | undefined,
): Promise<FoundPerson> => {
  const from = issuer === undefined ? {} : { issuer }
  const bySubject = await readPeople(store, { ...from, subject: name })
  const asks = bySubject.length > 0 ? bySubject : await readPeople(store, { ...from, name })
  const people = new Set(asks.map(({ stored }) => formatPlace(stored.identity)))
  const [newest] = asks
  if (newest === undefined) {
    throw new AppError('not_found', 'The log has no ask of this person.', {
      hint: 'postern cert list, whose table names the ids; or postern policy explain --as',
    })
  }
  if (people.size > 1) {
    throw new AppError('usage', `Several people are called that: ${[...people].join(', ')}.`, {
      hint: 'name one by id, with --issuer where two providers have the same',
    })
  }
  const lookUps = new Map(asks.toReversed().flatMap(({ stored }) => [...stored.lookUps]))
  const { identity } = newest.stored
  return { identity, lookUps, time: newest.time, seq: newest.seq }
}

const readPeople = async (store: Pick<Store, 'find'>, filter: Readonly<Record<string, string>>) =>
  (await listEntries(store, filter, mostRead)).flatMap(toAsk)

const formatPlace = ({ issuer, subject }: KnownPerson['identity']) => `${subject} of ${issuer}`
