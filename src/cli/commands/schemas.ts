import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { schemas } from '../../app/schemas.ts'
import { AppError } from '../../errors.ts'
import type { Command } from '../command.ts'

/** The line by which an editor finds a schema: the first of a file. */
export const formatSchemaLine = (place: string): string =>
  `# yaml-language-server: $schema=${place}`

export const schemasCommand: Command = {
  name: 'schemas',
  summary:
    'write the JSON Schemas by which an editor completes and checks policy and configuration',
  argument: { name: '[dir]', summary: 'where (default: schemas)' },
  examples: ['postern schemas', 'postern schemas /etc/postern/schemas'],
  async run({ output, cwd }, argument) {
    const dir = resolve(cwd, argument ?? 'schemas')
    for (const path of await writeSchemas(dir)) output.line(path)
    return 0
  },
}

/** Writes them into a directory, in place of older ones, and answers their paths. */
export const writeSchemas = async (dir: string): Promise<readonly string[]> => {
  try {
    await mkdir(dir, { recursive: true })
    return await Promise.all(
      Object.entries(schemas).map(async ([name, create]) => {
        const path = join(dir, `${name}.json`)
        await writeFile(path, `${JSON.stringify(create(), null, 2)}\n`)
        return path
      }),
    )
  } catch (cause) {
    throw new AppError('invalid_config', 'The schemas cannot be written.', {
      detail: String(cause),
      hint: `ls -ld ${dir}`,
      cause,
    })
  }
}
