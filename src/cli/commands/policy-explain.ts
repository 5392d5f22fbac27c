import { AppError } from '../../errors.ts'
import { parseAddress } from '../../lib/address.ts'
import { formatTime, systemClock } from '../../lib/clock.ts'
import { formatDuration, parseDuration } from '../../lib/duration.ts'
import { isHostName, isLogin } from '../../lib/names.ts'
import { resolveHost } from '../../policy/aliases.ts'
import { type Explanation, explain, formatRule } from '../../policy/explain.ts'
import type { Question } from '../../policy/index.ts'
import { loadPolicy } from '../../policy/load.ts'
import { parsePerson } from '../../policy/person.ts'
import { type Command, jsonOption, type Options } from '../command.ts'
import type { Output } from '../output.ts'
import { checkLoaded, findPolicy, parseTime, timeOption } from '../policies.ts'
import { formatTrace, isAbout } from '../trace.ts'

export const policyExplain: Command = {
  name: 'policy explain',
  summary: 'say why somebody may log in, or may not: every rule, and what would change the answer',
  argument: { name: '[dir]', summary: 'a directory of policy files (default: policyDir)' },
  options: [
    { flags: '--as <person>', summary: "who asks, as the policy's tests write one" },
    {
      flags: '--host <host>',
      summary: 'the host',
      check: (text) => (isHostName(text) ? undefined : 'Write a host name in lower case.'),
    },
    {
      flags: '--login <login>',
      summary: 'the login on that host',
      check: (text) => (isLogin(text) ? undefined : 'Write a login, as deploy.'),
    },
    timeOption,
    {
      flags: '--ttl <duration>',
      summary: 'for how long, as 15m',
      check: (text) => (parseDuration(text) === undefined ? 'Write a duration as 15m.' : undefined),
    },
    { flags: '--command <name>', summary: "the name of one of the rule's commands" },
    { flags: '--reason <text>', summary: 'the reason that is given' },
    {
      flags: '--from <address>',
      summary: "the caller's IP address",
      check: (text) =>
        parseAddress(text) === undefined ? 'Write an IP address, as 192.0.2.7.' : undefined,
    },
    { flags: '--proof', summary: 'as if the ask came with a proof of possession' },
    { flags: '--all', summary: 'print also the rules that do not name the host' },
    jsonOption,
  ],
  examples: [
    `postern policy explain --as '{ github: { id: "583231", teams: [acme/dev] } }' --host web-1.example.com --login deploy`,
    `postern policy explain policies --as '{ oidc: { issuer: https://idp.example.com, subject: u-1, mfa: true } }' --host db-1.example.com --login root --at 2026-12-01T22:00:00Z --json`,
  ],
  async run(context, argument, options) {
    const { output } = context
    const asked = createQuestion(options)
    const { dir, maxTtlSeconds } = await findPolicy(context, argument)
    const { policy } = checkLoaded(
      await loadPolicy(dir, maxTtlSeconds === undefined ? {} : { maxTtlSeconds }),
      dir,
    )
    const ask = { ...asked.ask, host: resolveHost(policy.hosts, asked.ask.host) }
    const question = { ...asked, ask }
    const explanation = explain(policy, question)
    if (options['json'] === true) output.json(formatExplanation(explanation, question))
    else print(output, explanation, options['all'] === true)
    return explanation.decision.kind === 'allow' ? 0 : 1
  },
}

const textOf = (options: Options, name: string): string | undefined => {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

const requireText = (options: Options, name: string, example: string): string => {
  const text = textOf(options, name)
  if (text !== undefined) return text
  throw new AppError('usage', `--${name} is missing.`, { hint: `add --${name} ${example}` })
}

/** Memberships are what `--as` says: nothing is asked of anybody. */
const createQuestion = (options: Options): Question => {
  const at = parseTime(textOf(options, 'at') ?? '') ?? systemClock()
  const example = `'{ github: { id: "583231", teams: [acme/dev] } }'`
  const person = parsePerson(requireText(options, 'as', example), at)
  if (!person.ok) {
    throw new AppError('usage', `--as: ${person.problems.join('\n--as: ')}.`, {
      hint: `write --as ${example}, or with oidc: { issuer: …, subject: … }`,
    })
  }
  const { identity, memberships } = person
  const ttl = textOf(options, 'ttl')
  const ttlSeconds = ttl === undefined ? undefined : parseDuration(ttl)
  const command = textOf(options, 'command')
  const reason = textOf(options, 'reason')
  const address = parseAddress(textOf(options, 'from') ?? '')
  return {
    identity,
    memberships,
    at,
    ask: {
      host: requireText(options, 'host', 'web-1.example.com'),
      login: requireText(options, 'login', 'deploy'),
      ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      ...(command === undefined ? {} : { command }),
      ...(reason === undefined ? {} : { reason }),
    },
    ...(address === undefined ? {} : { address }),
    hasProof: options['proof'] === true,
  }
}

const formatExplanation = (explanation: Explanation, { at, ask }: Question) => {
  const { certificate, near: _, ...rest } = explanation
  return {
    at: formatTime(at),
    ask,
    ...rest,
    ...(certificate === undefined
      ? {}
      : { certificate: { ...certificate, validBefore: formatTime(certificate.validBefore) } }),
  }
}

const print = (output: Output, explanation: Explanation, isAll: boolean): void => {
  const { decision, rules, advice, certificate } = explanation
  for (const line of formatTrace(rules, isAll)) output.line(line)
  const others = isAll ? 0 : rules.filter((trace) => !isAbout(trace)).length
  if (others > 0) output.note(`rules that do not name the host: ${others}; --all prints them`)
  const by = decision.rule === undefined ? '' : ` by ${formatRule(decision.rule)}`
  output.line('')
  if (decision.kind === 'allow') output.line(`allow${by}`)
  else output.line(`deny${by}, ${decision.code}: ${decision.reason}`)
  for (const line of advice) output.line(`  ${line}`)
  if (certificate === undefined) return
  const { principals, ttlSeconds, validBefore, endsWith, criticalOptions, extensions } = certificate
  output.line('The certificate that would be written:')
  output.facts([
    ['  principals', principals.join(', ')],
    ['  ttl', formatDuration(ttlSeconds)],
    ['  until', `${formatTime(validBefore)}${endsWith === 'ttl' ? '' : `, with the ${endsWith}`}`],
    ...Object.entries(criticalOptions).map(([name, value]) => [`  ${name}`, value] as const),
    ...Object.entries(extensions).map(([name, value]) => [`  ${name}`, value] as const),
  ])
}
