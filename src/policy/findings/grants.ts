import { parseCidr } from '../../lib/address.ts'
import { formatDuration } from '../../lib/duration.ts'
import { findNearest } from '../../lib/nearest.ts'
import type { AllowShape } from '../schema.ts'
import { createMoment, createWhen } from '../when.ts'
import type { Ground, Leaf, Looked, Remark } from './ground.ts'

// What rules give, and what they ask for: too much, too little, or what nobody can have.

export const listGrantRemarks = (ground: Ground): readonly Remark[] => [
  ...ground.rules.flatMap((looked) => {
    const { shape } = looked.rule
    const all = [
      ...listTimes(looked, ground),
      ...('deny' in shape ? [] : listDoubts(looked, shape)),
    ]
    return all.map(({ at, level = 'warning', ...remark }) => ({
      entry: looked.entry,
      path: at,
      level,
      ...remark,
    }))
  }),
  ...listIdleDenials(ground),
]

interface Doubt extends Pick<Remark, 'code' | 'message' | 'advice'> {
  readonly at: Remark['path']
  readonly level?: Remark['level']
}

type Check = (shape: AllowShape, leaves: readonly Leaf[]) => readonly (Doubt | false)[]

const listDoubts = (looked: Looked, shape: AllowShape): readonly Doubt[] =>
  checks.flatMap((check) => check(shape, looked.who.flat()).filter((doubt) => doubt !== false))

/** Rules whose time is over, or never comes. */
const listTimes = ({ rule: { shape } }: Looked, { at: now }: Ground): readonly Doubt[] => {
  const { when } = shape
  if (when === undefined) return []
  const { since, through, days } = when
  // The last day may have a night behind it, and begin a day later where the sun rises late.
  const end = through === undefined ? undefined : Date.parse(`${through}T00:00:00Z`) + 3 * dayLength
  if (end !== undefined && end < now.getTime()) {
    return [
      {
        at: ['when', 'through'],
        code: 'engagement-ended',
        message: `${shape.name} ended with ${through}`,
        advice: 'take the rule out, or set a new last day',
      },
    ]
  }
  if (since === undefined || through === undefined || days === undefined) return []
  const first = Date.parse(`${since}T12:00:00Z`)
  const last = Date.parse(`${through}T12:00:00Z`)
  const isDay = createWhen({ since, through, days, zone: 'UTC' })
  for (let day = first; day <= last && day < first + 7 * dayLength; day += dayLength) {
    if (isDay(createMoment(new Date(day)))) return []
  }
  return [
    {
      at: ['when', 'days'],
      level: 'error',
      code: 'never-matches',
      message: `the rule ${shape.name} can never match: none of its days lies between ${since} and ${through}`,
      advice: 'mend the days or the dates',
    },
  ]
}

const dayLength = 86_400_000

const checkRoot: Check = ({ logins, require, commands }) => {
  const at = logins.indexOf('root')
  if (at < 0 || commands !== undefined) return []
  if (require?.mfa !== undefined || require?.reason !== undefined) return []
  return [
    {
      at: ['logins', at],
      code: 'root-ungated',
      message: 'root is given without a second factor and without a reason',
      advice: 'add require: { mfa: true, reason: { minLength: 10 } }',
    },
  ]
}

const isGithub = (leaf: Leaf): boolean => leaf !== 'everyone' && 'github' in leaf

/** GitHub never says how somebody logged in, nor when the token was made. */
const checkGithubEvidence: Check = ({ require }, leaves) => {
  const key = (['mfa', 'tokenMaxAge'] as const).find((name) => require?.[name] !== undefined)
  if (key === undefined || !leaves.some(isGithub)) return []
  const isAll = leaves.every(isGithub)
  return [
    {
      at: ['require', key],
      level: isAll ? 'error' : 'warning',
      code: 'never-met',
      message: `${isAll ? 'nobody in who' : 'nobody who comes by GitHub'} can ever meet ${key}: GitHub does not tell`,
      advice: 'name these people by an OIDC issuer',
    },
  ]
}

const longest = 3600
const shortest = 30

const checkTtl: Check = ({ ttl, maxTtl = ttl }) => [
  maxTtl > longest && {
    at: [maxTtl === ttl ? 'ttl' : 'maxTtl'],
    code: 'long-ttl',
    message: `a certificate of ${formatDuration(maxTtl)} opens its host that long, whatever becomes of the person meanwhile`,
    advice: 'an hour is enough to log in: a session outlives its certificate',
  },
  ttl < shortest && {
    at: ['ttl'],
    code: 'short-ttl',
    message: `a certificate of ${formatDuration(ttl)} may be over before the login`,
    advice: 'give it a minute or more',
  },
]

const isEverywhere = (text: string): boolean => parseCidr(text)?.prefix === 0

const checkNetworks: Check = ({ sourceAddresses = [], require }) => {
  const doubt = (at: Doubt['at'], text: string): Doubt => ({
    at,
    code: 'any-address',
    message: `${text} is every address there is: it holds nobody back`,
    advice: 'name the networks, or leave it out',
  })
  return [
    ...(sourceAddresses === 'caller' ? [] : sourceAddresses).map(
      (text, at) => isEverywhere(text) && doubt(['sourceAddresses', at], text),
    ),
    ...(require?.callerAddresses ?? []).map(
      (text, at) => isEverywhere(text) && doubt(['require', 'callerAddresses', at], text),
    ),
  ]
}

/** What runs whatever it is told: a shell alone, or the command that the client sent. */
const isOpen = (command: string): boolean =>
  /SSH_ORIGINAL_COMMAND/.test(command) ||
  /^(?:\S*\/)?(?:env +)?(?:\S*\/)?(?:ba|da|z|k|c|tc|fi)?sh(?: +-[il]+)*$/.test(command.trim())

const checkCommands: Check = ({ commands = {}, extensions = [] }) => [
  ...Object.entries(commands).map(
    ([name, command]) =>
      isOpen(command) && {
        at: ['commands', name],
        code: 'open-command',
        message: `the command ${name} runs whatever it is told, so the list of commands holds nobody back`,
        advice: 'name one program that does one thing',
      },
  ),
  ...extensions.map(
    ({ name }, at) =>
      name === 'permit-user-rc' &&
      Object.keys(commands).length > 0 && {
        at: ['extensions', at],
        code: 'open-command',
        message:
          'permit-user-rc runs ~/.ssh/rc before the command, and whoever has the login may write it',
        advice: 'leave it out',
      },
  ),
]

/** Claims that many providers let people set for themselves. */
const ownClaims = ['preferred_username', 'nickname', 'name', 'given_name', 'username', 'login']

const checkClaimLogins: Check = ({ logins }) =>
  logins.map(
    (login, at) =>
      typeof login !== 'string' &&
      ownClaims.includes(login.claim) && {
        at: ['logins', at],
        code: 'own-claim',
        message: `many providers let people choose their ${login.claim}, and so this login, root too`,
        advice: 'take a claim that only your directory sets, as unix_name',
      },
  )

const checks: readonly Check[] = [
  checkRoot,
  checkGithubEvidence,
  checkTtl,
  checkNetworks,
  checkCommands,
  checkClaimLogins,
]

/** Denials of a login that no rule gives, where one that is given is spelt nearly so. */
const listIdleDenials = ({ rules }: Ground): readonly Remark[] => {
  const given = new Set(
    rules.flatMap(({ rule }) =>
      rule.kind === 'deny' ? [] : rule.shape.logins.filter((login) => typeof login === 'string'),
    ),
  )
  return rules.flatMap(({ rule, entry }) =>
    rule.kind === 'allow'
      ? []
      : rule.shape.logins.flatMap((login, at): readonly Remark[] => {
          if (/[*?]/.test(login) || given.has(login) || login === 'root') return []
          const nearest = findNearest(login, [...given, 'root'])
          if (nearest === undefined) return []
          return [
            {
              entry,
              path: ['logins', at],
              level: 'warning',
              code: 'misspelt',
              message: `no rule gives the login ${login}, so this denies nothing`,
              advice: `is it ${nearest}?`,
            },
          ]
        }),
  )
}
