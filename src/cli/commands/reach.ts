import type { InventoryItem } from '../../audit/index.ts'
import { formatItem } from '../../audit/inventory.ts'
import type { Store } from '../../audit/store.ts'
import { formatTime, systemClock } from '../../lib/clock.ts'
import { formatRule } from '../../policy/explain.ts'
import { loadPolicy } from '../../policy/load.ts'
import { listReach, type Reached } from '../../policy/reach.ts'
import { type Command, jsonOption } from '../command.ts'
import { findPerson } from '../people.ts'
import { checkLoaded, count, findPolicy, parseTime, timeOption } from '../policies.ts'
import { withLog } from '../reading.ts'
import { openInventory } from './cert.ts'

export const reach: Command = {
  name: 'reach',
  summary: 'say where somebody may log in now, and which certificates of theirs are alive',
  argument: { name: '<subject>', summary: "the person's stable id, or a name only they have" },
  options: [
    { flags: '--issuer <url>', summary: 'of that identity provider, where two have the same id' },
    timeOption,
    jsonOption,
  ],
  examples: ['postern reach 583231', 'postern reach u-1 --issuer https://idp.example.com --json'],
  run: (context, argument = '', { issuer, at: time, json }) =>
    withLog(context, async (store) => {
      const { output } = context
      const at = parseTime(String(time ?? '')) ?? systemClock()
      const person = await findPerson(store, argument, issuer === undefined ? issuer : `${issuer}`)
      const { dir, maxTtlSeconds } = await findPolicy(context, undefined)
      const { policy } = checkLoaded(
        await loadPolicy(dir, maxTtlSeconds === undefined ? {} : { maxTtlSeconds }),
        dir,
      )
      const found = listReach(policy, person, at)
      const alive = await listAlive(store, person.identity)
      const { name, subject, groups } = person.identity
      if (json === true) {
        output.json({
          issuer: person.identity.issuer,
          subject,
          name,
          groups,
          knownFrom: { entry: person.seq, time: person.time },
          at: formatTime(at),
          policy: policy.sha256,
          ...found,
          certificates: alive.map(formatItem),
        })
        return 0
      }
      output.line(`${name} (${subject}) of ${person.identity.issuer}`)
      for (const one of found.reached) output.line(`  ${formatReached(one)}`)
      if (found.reached.length === 0) output.note('no rule lets them log in anywhere')
      const last = alive
        .map(({ validBefore }) => validBefore)
        .sort()
        .at(-1)
      if (last !== undefined)
        output.line(`${count(alive.length, 'certificate')} alive, until ${last}:`)
      output.table(['serial', 'login@host', 'until'], alive.map(toRow))
      if (last === undefined) output.note('no certificate of theirs is alive')
      output.note(`groups and memberships as entry ${person.seq} of ${person.time} has them`)
      for (const question of found.unknown) {
        output.note(`nobody has asked, and more may hang on it: ${question}`)
      }
      if (!found.isWhole) {
        output.warning('The patterns overlap in too many ways to look at all: there may be more.')
      }
      return 0
    }),
}

/** `deploy on web-*: rule deploy (web.yaml:4); asks for a reason` */
const formatReached = ({ hosts, logins, rule, needs }: Reached): string =>
  [
    `${logins.join(' or ')} on ${hosts.join(', ')}: ${formatRule(rule)}`,
    ...(needs.length === 0 ? [] : [`; asks for ${needs.join(', and ')}`]),
  ].join('')

const toRow = ({ serial, ask, validBefore }: InventoryItem): readonly string[] => [
  serial,
  `${ask.login}@${ask.host}`,
  validBefore,
]

/** More of one person's than anybody reads. */
const mostAlive = 1000

const listAlive = async (
  store: Pick<Store, 'find' | 'findAfter'>,
  { issuer, subject }: { readonly issuer: string; readonly subject: string },
): Promise<readonly InventoryItem[]> => {
  const inventory = await openInventory(store)
  const items: InventoryItem[] = []
  let before: number | undefined
  do {
    const page = await inventory.list({
      filter: { issuer, subject },
      status: 'active',
      limit: mostAlive,
      ...(before === undefined ? {} : { before }),
    })
    items.push(...page.items)
    before = page.next
  } while (before !== undefined && items.length < mostAlive)
  return items
}
