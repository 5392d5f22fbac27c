import { AppError } from '../../errors.ts'
import { parseCidr } from '../../lib/address.ts'
import { type Command, jsonOption, type Options } from '../command.ts'
import { sinceOption } from '../reading.ts'
import { openService, urlOption } from '../service.ts'
import { listUnknownHosts, unknownOption } from '../unknown-hosts.ts'

const toText = (option: string | true | undefined): string | undefined =>
  typeof option === 'string' ? option : undefined

const toList = (option: string | true | undefined): readonly string[] | undefined =>
  toText(option)?.split(',')

/** What an answer says of a host; every member has been checked by the service that wrote it. */
interface Shown {
  readonly name: string
  readonly aliases: readonly string[]
  readonly address?: string
  readonly port: number
  readonly labels: Readonly<Record<string, string>>
  readonly logins: readonly string[]
  readonly hostKeys: readonly string[]
  readonly source: string
  readonly enrolledAt?: string
  readonly lastSeen?: string
  readonly trustVersion?: number
  readonly wantedVersion: number
  readonly standing: string
}

const titles = ['host', 'source', 'logins', 'trust', 'last seen', 'standing'] as const

const formatVersion = ({ trustVersion, wantedVersion }: Shown): string =>
  `${trustVersion ?? '-'} of ${wantedVersion}`

export const hostList: Command = {
  name: 'host list',
  summary: 'the hosts, and which of them have the newest trust bundle',
  options: [unknownOption, sinceOption, urlOption, jsonOption],
  examples: ['postern host list', 'postern host list --unknown --since 30d'],
  async run(context, _argument, options) {
    if (options['unknown'] === true) return listUnknownHosts(context, options)
    const service = await openService(context, toText(options['url']))
    const answer = await service.send('GET', '/v1/hosts')
    const { output } = context
    if (options['json'] === true) output.json(answer)
    else {
      const hosts = answer['hosts'] as readonly Shown[]
      const rows = hosts.map((host) => [
        host.name,
        host.source,
        host.logins.join(','),
        formatVersion(host),
        host.lastSeen ?? '-',
        host.standing,
      ])
      output.table(titles, rows)
      output.note(String(answer['summary']))
    }
    return 0
  },
}

export const hostShow: Command = {
  name: 'host show',
  summary: 'a host: its keys, what it reported last, and what to put into known_hosts',
  argument: { name: '<name>', summary: 'its name, or an alias' },
  options: [urlOption, jsonOption],
  examples: ['postern host show web-1.example.com'],
  async run(context, name = '', { url, json }) {
    const service = await openService(context, toText(url))
    const answer = await service.send('GET', `/v1/hosts/${encodeURIComponent(name)}`)
    if (json === true) context.output.json(answer)
    else {
      const host = answer as unknown as Shown
      context.output.facts([
        ['name', host.name],
        ['aliases', host.aliases.join(', ') || undefined],
        ['address', host.address],
        ['port', String(host.port)],
        [
          'labels',
          Object.entries(host.labels)
            .map(([key, value]) => `${key}=${value}`)
            .join(', ') || undefined,
        ],
        ['logins', host.logins.join(', ') || 'none: no certificate opens it'],
        ...host.hostKeys.map((key) => ['host key', key] as const),
        ['source', host.source],
        ['enrolled', host.enrolledAt],
        ['last seen', host.lastSeen ?? 'never'],
        ['trust bundle', `${formatVersion(host)}, ${host.standing}`],
      ])
    }
    return 0
  },
}

const createOrder = (name: string | undefined, options: Options) => {
  const { logins, pattern, uses, from, expires } = options
  if ((name === undefined) === (pattern === undefined)) {
    throw new AppError('usage', 'Name the host, or the hosts by a pattern.', {
      hint: 'postern host invite web-1.example.com --logins deploy',
    })
  }
  return {
    ...(name === undefined ? {} : { name }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(uses === undefined ? {} : { uses: Number(uses) }),
    ...(from === undefined ? {} : { from: toList(from) }),
    ...(logins === undefined ? {} : { logins: toList(logins) }),
    ...(expires === undefined ? {} : { ttl: expires }),
  }
}

export const hostInvite: Command = {
  name: 'host invite',
  summary: 'print the line that enrols a host, with a token that is good once',
  argument: { name: '[name]', summary: 'the one host the token is for' },
  options: [
    {
      flags: '--logins <names>',
      summary: 'the logins that certificates are to open, as deploy,root',
    },
    {
      flags: '--pattern <pattern>',
      summary: 'for hosts that come and go, as "runner-*.example.com"',
    },
    {
      flags: '--uses <number>',
      summary: 'with --pattern: how many hosts may enrol (default: 1)',
      check: (text) => (/^[1-9][0-9]{0,4}$/.test(text) ? undefined : 'Write a whole number.'),
    },
    {
      flags: '--from <blocks>',
      summary: 'the addresses it may be used from, as 10.2.0.0/16',
      check: (text) =>
        text.split(',').every((block) => parseCidr(block) !== undefined)
          ? undefined
          : 'Write blocks as 10.2.0.0/16, with commas between them.',
    },
    { flags: '--expires <duration>', summary: 'how long it is good for, at most 7d (default: 1h)' },
    urlOption,
    jsonOption,
  ],
  examples: [
    'postern host invite web-1.example.com --logins deploy,root',
    'postern host invite --pattern "runner-*.example.com" --uses 50 --from 10.2.0.0/16 --logins runner',
  ],
  async run(context, name, options) {
    const order = createOrder(name, options)
    const service = await openService(context, toText(options['url']))
    const answer = await service.send('POST', '/v1/hosts/invitations', order)
    const { output } = context
    if (options['json'] === true) output.json(answer)
    else {
      output.line(String(answer['command']))
      const times = answer['uses'] === 1 ? 'once' : `${answer['uses']} times`
      output.note(
        `run this on ${answer['name'] ?? `hosts of ${answer['pattern']}`} as root; it is good ${times}, until ${answer['expires']}`,
      )
    }
    return 0
  },
}

export const hostRemove: Command = {
  name: 'host remove',
  summary: 'take a host that has enrolled off the list',
  argument: { name: '<name>', summary: 'its name, or an alias' },
  options: [urlOption, jsonOption],
  examples: ['postern host remove web-1.example.com'],
  async run(context, name = '', { url, json }) {
    const service = await openService(context, toText(url))
    const answer = await service.send('DELETE', `/v1/hosts/${encodeURIComponent(name)}`)
    if (json === true) context.output.json(answer)
    else {
      context.output.line(`${answer['name']} is off the list`)
      context.output.note(
        'from its next poll it takes no certificate, until it enrols again; what it takes besides is untouched',
      )
      context.output.note('to take the files away as well, run there: postern-host remove')
    }
    return 0
  },
}
