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
  readonly hosts: readonly string[]
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
    const { identity, url, expiresAt, inMemory, hosts, certificates } = told
    output.facts([
      ['name', identity.name],
      ['issuer', identity.issuer],
      ['subject', identity.subject],
      ['groups', identity.groups.length === 0 ? undefined : identity.groups.join(', ')],
      ['service', url],
      ['until', expiresAt ?? 'you log out'],
      ['kept', inMemory ? 'in memory' : 'on disk'],
      ['hosts', hosts.length === 0 ? undefined : hosts.join(', ')],
    ])
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
