import { type AgentAnswer, askAgent, askStartedAgent, toError } from '../../desk/control.ts'
import { findPlaces } from '../../desk/places.ts'
import { findSession } from '../../desk/session.ts'
import { AppError } from '../../errors.ts'
import { type Command, jsonOption } from '../command.ts'
import { withSpinner } from '../spinner.ts'

const timeoutMs = 15_000

interface WhoAmI extends AgentAnswer {
  readonly url: string
  readonly identity: {
    readonly name: string
    readonly issuer: string
    readonly subject: string
    readonly groups: readonly string[]
  }
  readonly expiresAt?: string
  readonly inMemory: boolean
  /** The names in the service's host list. */
  readonly hosts: readonly string[]
  /** The allow rules that name the person; absent where `rulesProblem` says why nobody knows. */
  readonly rules?: readonly {
    readonly rule: string
    readonly hosts: readonly string[]
    readonly logins: readonly string[]
    readonly when?: string
    readonly needs: readonly string[]
  }[]
  readonly rulesProblem?: string
  readonly certificates: readonly {
    readonly login: string
    readonly host: string
    readonly rule: string
    readonly validBefore: string
  }[]
}

export const whoami: Command = {
  name: 'whoami',
  summary: 'who the service takes you for, until when, and what you may reach',
  options: [jsonOption],
  examples: ['postern whoami', 'postern whoami --json'],
  async run({ output, env }, _argument, { json }) {
    const places = findPlaces(env)
    const request = { kind: 'whoami' } as const
    const answer = await withSpinner(output, 'asking the service', async () =>
      findSession(places) === undefined
        ? await askAgent(places, request, timeoutMs)
        : await askStartedAgent(places, request, timeoutMs),
    )
    if (answer === undefined) {
      throw new AppError('not_logged_in', 'You are not logged in.', { hint: 'postern login' })
    }
    if (!answer.ok) throw toError(answer)
    const { ok: _, ...told } = answer as WhoAmI
    if (json === true) {
      output.json(told)
      return 0
    }
    const { identity, url, expiresAt, inMemory, hosts, certificates, rules, rulesProblem } = told
    output.facts([
      ['name', identity.name],
      ['issuer', identity.issuer],
      ['subject', identity.subject],
      ['groups', identity.groups.length === 0 ? undefined : identity.groups.join(', ')],
      ['service', url],
      ['until', expiresAt ?? 'you log out'],
      ['kept', inMemory ? 'in memory' : 'on disk'],
      ['hosts', hosts.length === 0 ? undefined : formatHosts(hosts)],
    ])
    output.table(
      ['may log in as', 'on', 'by the rule', 'if'],
      (rules ?? []).map(({ logins, hosts: patterns, rule, when, needs }) => [
        logins.join(', '),
        patterns.join(', '),
        rule,
        [...(when === undefined ? [] : [when]), ...needs].join('; '),
      ]),
    )
    if (rules?.length === 0) output.note('no rule lets you log in anywhere')
    if (rulesProblem !== undefined)
      output.warning(`Where you may log in is not known: ${rulesProblem}`)
    output.table(
      ['login@host', 'rule', 'certificate until'],
      certificates.map(({ login, host, rule, validBefore }) => [
        `${login}@${host}`,
        rule,
        validBefore,
      ]),
    )
    return 0
  },
}

/** A list that is longer than this is for `--json`. */
const mostHosts = 12

const formatHosts = (hosts: readonly string[]): string =>
  hosts.length <= mostHosts
    ? hosts.join(', ')
    : `${hosts.slice(0, mostHosts).join(', ')} and ${hosts.length - mostHosts} more`
