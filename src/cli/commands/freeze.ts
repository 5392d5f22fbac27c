import { AppError } from '../../errors.ts'
import { type Command, jsonOption } from '../command.ts'
import { openService, urlOption } from '../service.ts'

const toText = (option: string | true | undefined): string | undefined =>
  typeof option === 'string' ? option : undefined

export const freeze: Command = {
  name: 'freeze',
  summary: 'stop all issuing at once, until unfreeze; also across a restart',
  options: [
    { flags: '--reason <text>', summary: 'why, in a sentence for the log; required' },
    urlOption,
    jsonOption,
  ],
  examples: [
    'postern freeze --reason "a laptop was stolen"',
    'postern freeze --reason "a laptop was stolen" --url https://postern.example.com',
  ],
  async run(context, _argument, { reason, url, json }) {
    if (typeof reason !== 'string') {
      throw new AppError('usage', 'Say why: the log keeps it.', {
        hint: 'postern freeze --reason "a laptop was stolen"',
      })
    }
    const service = await openService(context, toText(url))
    const state = await service.send('POST', '/v1/freeze', { reason })
    if (json === true) context.output.json(state)
    else context.output.line(`frozen by ${state['by']} since ${state['since']}: ${state['reason']}`)
    return 0
  },
}

export const unfreeze: Command = {
  name: 'unfreeze',
  summary: 'let issuing go on',
  options: [urlOption, jsonOption],
  examples: ['postern unfreeze', 'postern unfreeze --url https://postern.example.com'],
  async run(context, _argument, { url, json }) {
    const service = await openService(context, toText(url))
    const state = await service.send('DELETE', '/v1/freeze')
    if (json === true) context.output.json(state)
    else if (state['by'] === undefined) context.output.note('issuing was not frozen')
    else {
      const { by, since, reason } = state
      context.output.line(`issuing goes on; it was frozen by ${by} since ${since}: ${reason}`)
    }
    return 0
  },
}
