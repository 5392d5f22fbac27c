import { AppError } from '../../errors.ts'
import { parseAddress } from '../../lib/address.ts'
import { formatTime, systemClock } from '../../lib/clock.ts'
import { isHostName, isLogin } from '../../lib/names.ts'
import { resolveHost } from '../../policy/aliases.ts'
import { explain } from '../../policy/explain.ts'
import type { Policy, Question } from '../../policy/index.ts'
import { loadPolicy } from '../../policy/load.ts'
import { parsePerson } from '../../policy/person.ts'
import { listMemberships } from '../../policy/replay.ts'
import { type Command, type Context, jsonOption, type Options } from '../command.ts'
import {
  conclude,
  diagnoseDecision,
  diagnoseLogin,
  diagnoseNetwork,
  diagnoseTrust,
  type Finding,
  type Target,
} from '../diagnosis.ts'
import { findPerson } from '../people.ts'
import { checkLoaded, findPolicy } from '../policies.ts'
import { withLog } from '../reading.ts'
import { openService, urlOption } from '../service.ts'

export const doctor: Command = {
  name: 'doctor',
  summary: 'say what keeps somebody from logging in to a host, and who can mend it; issues nothing',
  argument: { name: '<host>', summary: 'its name, or an alias' },
  options: [
    {
      flags: '--as <person>',
      summary: "a stable id or name the log knows, or a person as the policy's tests write one",
    },
    { flags: '--issuer <url>', summary: 'of that identity provider, where two have the same id' },
    {
      flags: '--login <login>',
      summary: 'the login on that host',
      check: (text) => (isLogin(text) ? undefined : 'Write a login, as deploy.'),
    },
    { flags: '--reason <text>', summary: 'the reason that would be given' },
    { flags: '--command <name>', summary: "the name of one of the rule's commands" },
    urlOption,
    jsonOption,
  ],
  examples: [
    'postern doctor web-1.example.com --as 583231 --login deploy',
    `postern doctor web-1 --as '{ oidc: { issuer: https://idp.example.com, subject: u-1 } }' --login deploy --json`,
  ],
  async run(context, argument = '', options) {
    const { output } = context
    const { login, as: person } = options
    if (!isHostName(argument) || typeof login !== 'string' || typeof person !== 'string') {
      throw new AppError('usage', 'Name the host, the person and the login.', {
        hint: 'postern doctor web-1.example.com --as 583231 --login deploy',
      })
    }
    const { dir, maxTtlSeconds } = await findPolicy(context, undefined)
    const { policy } = checkLoaded(
      await loadPolicy(dir, maxTtlSeconds === undefined ? {} : { maxTtlSeconds }),
      dir,
    )
    const { host, answers } = await findTarget(context, policy, argument, options)
    const at = systemClock()
    const question = await createQuestion(context, policy, { host, login, person, at, options })
    const name = question.identity.name || question.identity.subject
    const findings: readonly Finding[] = [
      diagnoseDecision(policy, explain(policy, question), name),
      diagnoseTrust(host),
      ...diagnoseLogin(host, login),
      ...(await diagnoseNetwork(host, { address: findAddress(host), port: host.port ?? 22 })),
    ]
    const conclusion = conclude(findings, name, login)
    if (options['json'] === true) {
      output.json({
        host: host.name,
        login,
        person: name,
        at: formatTime(at),
        findings,
        conclusion,
      })
    } else {
      for (const { name: what, state, words } of findings) {
        output.line(`${signs[state]}  ${what}: ${words}`)
      }
      if (answers !== undefined) output.note(answers)
      output.line(conclusion)
    }
    return findings.some(({ state }) => state === 'bad') ? 1 : 0
  },
}

const signs = { ok: 'ok ', bad: 'bad', unknown: '?  ' } as const

/** Where it is reached: a name or an IP address, and nothing that a program could take for an option. */
const findAddress = ({ name, address }: Target): string =>
  address !== undefined && (isHostName(address) || parseAddress(address) !== undefined)
    ? address
    : name

/** What the running service knows of a host; what the policy lists, where none answers. */
const findTarget = async (
  context: Context,
  policy: Policy,
  name: string,
  { url }: Options,
): Promise<{ readonly host: Target; readonly answers?: string }> => {
  const canonical = resolveHost(policy.hosts, name)
  const listed = policy.hosts.find((one) => one.name === canonical)
  const known: Target = listed ?? { name, hostKeys: [] }
  try {
    const service = await openService(context, typeof url === 'string' ? url : undefined)
    const answer = await service.send('GET', `/v1/hosts/${encodeURIComponent(name)}`)
    return { host: readHost(answer, known) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    // A host that nobody enrolled may be reached all the same.
    if (error.code === 'not_found' || error.code === 'not_running') {
      return { host: known, answers: error.message }
    }
    throw error
  }
}

/** A service's answer is checked like anybody's. */
const readHost = (answer: Readonly<Record<string, unknown>>, known: Target): Target => {
  const text = (name: string) => {
    const value = answer[name]
    return typeof value === 'string' ? { [name]: value } : {}
  }
  const number = (name: string) => {
    const value = answer[name]
    return Number.isSafeInteger(value) ? { [name]: value } : {}
  }
  const { name, hostKeys, logins } = answer
  if (typeof name !== 'string' || !isHostName(name)) return known
  return {
    ...known,
    name,
    hostKeys: Array.isArray(hostKeys) ? hostKeys.map(String) : known.hostKeys,
    ...(Array.isArray(logins) ? { logins: logins.map(String) } : {}),
    ...text('address'),
    ...text('lastSeen'),
    ...number('port'),
    ...number('trustVersion'),
    ...number('wantedVersion'),
  }
}

/** As if they asked now, with a token that is new. */
const createQuestion = async (
  context: Context,
  policy: Policy,
  given: {
    readonly host: Target
    readonly login: string
    readonly person: string
    readonly at: Date
    readonly options: Options
  },
): Promise<Question> => {
  const { host, login, person, at, options } = given
  const { reason, command, issuer } = options
  const ask = {
    host: host.name,
    login,
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof command === 'string' ? { command } : {}),
  }
  if (person.startsWith('{')) {
    const parsed = parsePerson(person, at)
    if (parsed.ok) return { ...parsed, ask, at, hasProof: true }
    throw new AppError('usage', `--as: ${parsed.problems.join('\n--as: ')}.`, {
      hint: 'write a stable id, or { oidc: { issuer: …, subject: … } }',
    })
  }
  const from = typeof issuer === 'string' ? issuer : undefined
  const known = await withLog(context, (store) => findPerson(store, person, from))
  const { expiresAt: _, ...old } = known.identity
  const identity = { ...old, issuedAt: at, ...(old.mfa ? { authenticatedAt: at } : {}) }
  const { lookUps } = known
  // The first is that they are in nothing that nobody has asked about.
  const [memberships = noMemberships] = listMemberships(policy, { identity, lookUps, ask, at }).all
  return { identity, memberships, ask, at, hasProof: true }
}

const noMemberships: Question['memberships'] = { orgs: [], teams: [] }
