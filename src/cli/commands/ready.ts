import { findPlaces } from '../../desk/places.ts'
import { ready as makeReady } from '../../desk/ready.ts'
import { AppError } from '../../errors.ts'
import type { Command } from '../command.ts'

/** Loaded alone when ssh asks (quick.ts): it imports nothing that takes time. */
export const ready: Command = {
  name: 'ready',
  summary: 'get a certificate into the agent where one is needed; for ssh, by `Match exec`',
  argument: { name: '<host>', summary: 'the host, %h' },
  second: { name: '<login>', summary: 'the login, %r' },
  rest: {
    name: '[name]',
    summary: 'what ssh was told to call it, %n; the host itself if left out',
  },
  options: [{ flags: '--ours', summary: 'the host is one of Postern’s, listed or not' }],
  examples: ['postern ready web-1.example.com deploy', 'postern ready --ours web-1 deploy'],
  async run(context, host = '', { ours }, login = '', operands = []) {
    const [name, ...more] = operands.slice(2)
    if (more.length > 0)
      throw new AppError('usage', 'These are too many names for one login.', {
        hint: 'postern ready --help',
      })
    const given = { host, login, ours: ours === true, ...(name === undefined ? {} : { name }) }
    return (await makeReady(findPlaces(context.env), given)) ? 0 : 1
  },
}
