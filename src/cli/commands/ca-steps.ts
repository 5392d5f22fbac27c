import { type Command, type Context, jsonOption, type Option, type Options } from '../command.ts'
import { openService, urlOption } from '../service.ts'

const toText = (option: string | true | undefined): string | undefined =>
  typeof option === 'string' ? option : undefined

const isFingerprint = (text: string): boolean => /^SHA256:[A-Za-z0-9+/]{43}$/.test(text)

const keyArgument = {
  name: '[fingerprint]',
  summary: 'which key (default: the only one that can be meant)',
} as const

const forceOption: Option = {
  flags: '--force',
  summary: 'all the same: what it breaks is what the refusal without it says',
}

/** Orders a step, and tells what came of it. */
const order = async (
  context: Context,
  step: string,
  body: Readonly<Record<string, unknown>>,
  { url, json }: Options,
  next: readonly string[],
): Promise<number> => {
  const { output } = context
  const service = await openService(context, toText(url))
  const key = await service.send('POST', `/v1/ca/keys/${step}`, body)
  if (json === true) {
    output.json(key)
    return 0
  }
  output.line(`${key['fingerprint']} is ${key['state']} since ${key['since']}`)
  for (const line of listTexts(key['breaks'])) output.warning(line)
  const silent = listTexts(key['silent'])
  if (silent.length > 0) {
    const few = silent.slice(0, 10).join(', ')
    const more = silent.length > 10 ? ` and ${silent.length - 10} more` : ''
    output.warning(`hosts that have not reported for a day may not trust it: ${few}${more}`)
  }
  for (const line of next) output.note(line)
  return 0
}

const listTexts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

const stepBody = (fingerprint: string | undefined, { force }: Options) => ({
  ...(fingerprint === undefined ? {} : { fingerprint }),
  ...(force === true ? { force } : {}),
})

export const caNext: Command = {
  name: 'ca next',
  summary: 'make the next CA key: hosts trust it, and it signs nothing until it is activated',
  options: [
    {
      flags: '--agent <fingerprint>',
      summary: 'take a key that the ssh-agent of ca.agentSocket holds, and make none',
      check: (text) =>
        isFingerprint(text) ? undefined : 'Write it as ssh-add -l prints it: SHA256:…',
    },
    urlOption,
    jsonOption,
  ],
  examples: ['postern ca next', 'postern ca next --agent SHA256:…'],
  run: (context, _argument, options) => {
    const agent = toText(options['agent'])
    return order(context, 'next', agent === undefined ? {} : { agent }, options, [
      'hosts that fetch their trust take it by themselves; give the others `postern ca show`',
      ...(agent === undefined ? ['keep a copy of its file, in keys under dataDir, offline'] : []),
    ])
  },
}

export const caActivate: Command = {
  name: 'ca activate',
  summary: 'sign with the next key; refused until every host that reported within a day trusts it',
  argument: keyArgument,
  options: [forceOption, urlOption, jsonOption],
  examples: ['postern ca activate', 'postern ca activate SHA256:… --force'],
  run: (context, argument, options) =>
    order(context, 'activate', stepBody(argument, options), options, [
      'the key before it stays trusted: once all is well, postern ca retire',
    ]),
}

export const caRetire: Command = {
  name: 'ca retire',
  summary: 'close the key that was active before: it never signs again, its certificates live on',
  argument: keyArgument,
  options: [urlOption, jsonOption],
  examples: ['postern ca retire'],
  run: (context, argument, options) =>
    order(context, 'retire', stepBody(argument, options), options, [
      'once its last certificate has ended (postern ca list says when): postern ca remove',
    ]),
}

export const caRemove: Command = {
  name: 'ca remove',
  summary: 'trust a key no more; refused while a certificate of it is alive',
  argument: keyArgument,
  options: [forceOption, urlOption, jsonOption],
  examples: ['postern ca remove', 'postern ca remove SHA256:… --force'],
  run: (context, argument, options) =>
    order(context, 'remove', stepBody(argument, options), options, [
      'hosts that fetch their trust drop it by themselves; on the others take it out of user_ca.pub',
      'its private half is of use to nobody now: destroy it',
    ]),
}
