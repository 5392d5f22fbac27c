import { AppError } from '../../errors.ts'
import { isHostName, isLogin } from '../../lib/names.ts'
import { resolveHost } from '../../policy/aliases.ts'
import { formatRule } from '../../policy/explain.ts'
import { loadPolicy } from '../../policy/load.ts'
import { type Holder, listHolders } from '../../policy/who-can.ts'
import { type Command, jsonOption } from '../command.ts'
import { checkLoaded, findPolicy } from '../policies.ts'

export const whoCan: Command = {
  name: 'who-can',
  summary: 'say who may log in as somebody on a host: people and groups, by which rule, and when',
  argument: {
    name: '<login@host>',
    summary: 'as root@db-1.example.com; an alias of the host will do',
  },
  second: { name: '[dir]', summary: 'a directory of policy files (default: policyDir)' },
  options: [jsonOption],
  examples: [
    'postern who-can root@db-1.example.com',
    'postern who-can deploy@web-1.example.com policies --json',
  ],
  async run(context, argument = '', { json }, second) {
    const { output } = context
    const { login, host: named } = parseTarget(argument)
    const { dir, maxTtlSeconds } = await findPolicy(context, second)
    const loaded = checkLoaded(
      await loadPolicy(dir, maxTtlSeconds === undefined ? {} : { maxTtlSeconds }),
      dir,
    )
    const host = resolveHost(loaded.policy.hosts, named)
    const { holders, isWhole } = listHolders(loaded, host, login)
    if (json === true) output.json({ login, host, policy: loaded.policy.sha256, holders, isWhole })
    else {
      for (const holder of holders) output.line(formatHolder(holder))
      if (holders.length === 0) output.note(`nobody may be ${login} on ${host}`)
    }
    if (!isWhole) {
      output.warning('The rules overlap in too many ways to look at all: there may be more.')
    }
    return 0
  },
}

/** `team acme/ops: rule ops (db.yaml:3), mon-fri, unless also group guests; asks for a reason` */
const formatHolder = ({ people, rule, when, unless, needs }: Holder): string =>
  [
    `${people.join('; ')}: ${formatRule(rule)}`,
    ...(when === undefined ? [] : [`, ${when}`]),
    ...(unless === undefined ? [] : [`, unless also ${unless.join(' or ')}`]),
    ...(needs.length === 0 ? [] : [`; asks for ${needs.join(', and ')}`]),
  ].join('')

const parseTarget = (text: string): { readonly login: string; readonly host: string } => {
  const at = text.indexOf('@')
  const [login, host] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)]
  if (isLogin(login) && isHostName(host)) return { login, host }
  throw new AppError('usage', 'Write the login and the host, in lower case.', {
    hint: 'postern who-can root@db-1.example.com',
  })
}
