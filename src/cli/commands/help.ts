import { help } from '../../errors/help.ts'
import { AppError, type Code, codes, exitOf, statusOf } from '../../errors.ts'
import { findNearest } from '../../lib/nearest.ts'
import { type Command, jsonOption } from '../command.ts'

const names = Object.keys(codes) as readonly Code[]

/** The same words as the pages under /problems, without a service. */
export const helpCommand: Command = {
  name: 'help',
  summary: 'say what an error code means, what to do about it, and who can',
  argument: { name: '[code]', summary: 'as in the code of an answer; all of them by default' },
  options: [jsonOption],
  examples: ['postern help policy_denied', 'postern help'],
  async run({ output }, argument, options) {
    if (argument === undefined) {
      const all = names.map((code) => ({ code, title: codes[code].title, ...help[code] }))
      if (options['json']) output.json(all)
      else
        output.table(
          ['CODE', 'MEANS'],
          all.map(({ code, title }) => [code, title]),
        )
      return 0
    }
    const code = names.find((name) => name === argument)
    if (code === undefined) {
      const nearest = findNearest(argument, names)
      throw new AppError('not_found', 'No error has this code.', {
        hint: nearest === undefined ? 'postern help lists all' : `did you mean ${nearest}?`,
      })
    }
    const found = { code, title: codes[code].title, ...help[code] }
    if (options['json']) {
      output.json({ ...found, status: statusOf(code), exit: exitOf(code) })
      return 0
    }
    output.facts([
      ['code', `${code} (HTTP ${statusOf(code)}, exit ${exitOf(code)})`],
      ['means', `${found.title}.`],
      ['happened', found.happened],
      ['what to do', found.remedy],
      ['who can', found.who],
    ])
    return 0
  },
}
