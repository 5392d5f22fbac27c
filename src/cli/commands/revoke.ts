import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { RevocationTarget } from '../../audit/index.ts'
import { describeTarget } from '../../audit/revocations.ts'
import { AppError } from '../../errors.ts'
import { type Command, type Context, jsonOption, type Option, type Options } from '../command.ts'
import type { Output } from '../output.ts'
import { parseSince, sinceOption } from '../reading.ts'
import { openService, urlOption } from '../service.ts'

const keyOption: Option = {
  flags: '--key <key>',
  summary: 'a public key, as SHA256:…, as a line, or as the file it stands in',
}
const subjectOptions: readonly Option[] = [
  { flags: '--subject <id>', summary: 'a person, by the stable id; with --issuer' },
  { flags: '--issuer <url>', summary: "the issuer of the person's identity" },
]
const reasonOption: Option = {
  flags: '--reason <text>',
  summary: 'why, in a sentence for the log; required',
}

const textOf = (option: string | true | undefined): string | undefined =>
  typeof option === 'string' ? option : undefined

/** The members of an order that name what is meant. Code: `usage` */
const readNames = async (context: Context, options: Options) => {
  const { serial, key, subject, issuer, rule, host, after, before } = options
  if ((subject === undefined) !== (issuer === undefined)) {
    throw new AppError('usage', 'A person is an issuer and a subject: name both.', {
      hint: 'postern cert list --json shows them',
    })
  }
  const timeOf = (text: string | true | undefined) => {
    const given = textOf(text)
    return given === undefined ? undefined : parseSince(given)
  }
  const named = {
    serial,
    key: key === undefined ? undefined : await readKey(context, String(key)),
    subject: subject === undefined ? undefined : { issuer, subject },
    rule,
    host,
    after: timeOf(after),
    before: timeOf(before),
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
}

const readKey = async ({ cwd }: Context, text: string): Promise<string> => {
  const hint = 'name a .pub file, or write the fingerprint as SHA256:…'
  if (text.startsWith('SHA256:')) return text
  const content = text.includes(' ')
    ? text
    : await readFile(resolve(cwd, text), 'utf8').catch((cause) => {
        throw new AppError('usage', 'The file of the key cannot be read.', { hint, cause })
      })
  // Checked by the service; but a private key, named by mistake, is not to be sent there at all.
  const [line] = publicLine.exec(content) ?? []
  if (line === undefined) throw new AppError('usage', 'This is no public key.', { hint })
  return line
}

/** `TYPE BASE64`, before a comment. */
const publicLine = /^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}(?=\s|$)/

const checkReason = ({ reason }: Options, example: string): string => {
  if (typeof reason === 'string') return reason
  throw new AppError('usage', 'Say why: the log keeps it.', { hint: example })
}

/** A revocation, as the service answers it. */
interface Shown {
  readonly entry: number
  readonly time: string
  readonly by: string
  readonly reason: string
  readonly target: RevocationTarget
  readonly refusesNew: boolean
}

interface Answer {
  readonly revocation?: Shown
  readonly repeated: boolean
  readonly certificates: number
  readonly people: number
}

const formatReach = ({ certificates, people }: Answer): string =>
  `${certificates} ${certificates === 1 ? 'certificate' : 'certificates'} of ${people} ${people === 1 ? 'person' : 'people'}`

const tellLimits = (output: Output): void => {
  output.note('each host refuses them once it has the new list: within its next poll')
  output.note('sessions that are open go on: end them on the host')
}

export const revoke: Command = {
  name: 'revoke',
  summary: 'revoke certificates: one, or all of a person, key, rule, host or time',
  options: [
    { flags: '--serial <number>', summary: 'one certificate' },
    keyOption,
    ...subjectOptions,
    { flags: '--rule <name>', summary: 'all that a rule has allowed' },
    { flags: '--host <host>', summary: 'all that was issued for a host' },
    { ...sinceOption, flags: '--after <time>', summary: 'all that was issued since, as 2h' },
    { ...sinceOption, flags: '--before <time>', summary: 'all that was issued until then' },
    reasonOption,
    { flags: '--dry-run', summary: 'say how many it would be, and revoke nothing' },
    urlOption,
    jsonOption,
  ],
  examples: [
    'postern revoke --serial 4611686018427387904 --reason "a laptop was stolen"',
    'postern revoke --issuer https://github.com --subject 583231 --reason "an account was taken over"',
    'postern revoke --after 2h --reason "a proxy leaked tokens" --dry-run',
  ],
  async run(context, _argument, options) {
    const { output } = context
    const reason = checkReason(options, this.examples[0] as string)
    const order = { ...(await readNames(context, options)), reason }
    const service = await openService(context, textOf(options['url']))
    const send = async (body: object) =>
      (await service.send('POST', '/v1/revocations', body)) as unknown as Answer
    const isDryRun = options['dryRun'] === true
    const planned = await send({ ...order, dryRun: true })
    const wouldDo = isDryRun || planned.repeated
    if (!wouldDo) output.note(`this reaches ${formatReach(planned)}`)
    const answer = wouldDo ? planned : await send(order)
    if (options['json'] === true) {
      output.json(answer)
      return 0
    }
    const { revocation, repeated } = answer
    if (revocation === undefined) output.line(`would revoke ${formatReach(answer)}`)
    else if (repeated)
      output.line(`revoked already by ${revocation.by} at ${revocation.time}: ${revocation.reason}`)
    else {
      output.line(`revoked ${formatReach(answer)}: ${describeTarget(revocation.target)}`)
      if (revocation.refusesNew) output.line('new certificates are refused until: postern unrevoke')
    }
    if (revocation !== undefined) tellLimits(output)
    return 0
  },
}

export const unrevoke: Command = {
  name: 'unrevoke',
  summary: 'let a revoked person or key have certificates again; the revoked ones stay so',
  options: [keyOption, ...subjectOptions, reasonOption, urlOption, jsonOption],
  examples: [
    'postern unrevoke --issuer https://github.com --subject 583231 --reason "the account is theirs again"',
  ],
  async run(context, _argument, options) {
    const reason = checkReason(options, this.examples[0] as string)
    const order = { ...(await readNames(context, options)), reason }
    const service = await openService(context, textOf(options['url']))
    const answer = await service.send('DELETE', '/v1/revocations', order)
    if (options['json'] === true) context.output.json(answer)
    else context.output.line('new certificates are issued again; those that were revoked stay so')
    return 0
  },
}

const pageSize = 500

export const revocations: Command = {
  name: 'revocations',
  summary: 'what was revoked, by whom and why, newest first',
  options: [urlOption, jsonOption],
  examples: ['postern revocations', 'postern revocations --json'],
  async run(context, _argument, { url, json }) {
    const service = await openService(context, textOf(url))
    const found: Shown[] = []
    for (let cursor = ''; ; ) {
      const path = `/v1/revocations?limit=${pageSize}${cursor}`
      const { revocations: page, next } = await service.send('GET', path)
      found.push(...(page as readonly Shown[]))
      if (next === undefined) break
      cursor = `&cursor=${next}`
    }
    if (json === true) context.output.json(found)
    else if (found.length === 0) context.output.note('nothing was ever revoked')
    else {
      const titles = ['#', 'time', 'by', 'what', 'new ones', 'why']
      const rows = found.map(({ entry, time, by, reason, target, refusesNew }) => [
        ...[String(entry), time, by, describeTarget(target), refusesNew ? 'refused' : '', reason],
      ])
      context.output.table(titles, rows)
    }
    return 0
  },
}
