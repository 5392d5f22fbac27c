import { lstat, mkdir, open } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { AppError } from '../../errors.ts'
import type { Command } from '../command.ts'
import { configTemplate } from '../templates/config.ts'
import { policyTemplate } from '../templates/policy.ts'
import { writeSchemas } from './schemas.ts'

export const init: Command = {
  name: 'init',
  summary: 'write a configuration, a CA key and a first policy; asks nothing, overwrites nothing',
  argument: { name: '[dir]', summary: 'where (default: here)' },
  examples: ['postern init', 'postern init /etc/postern'],
  async run({ output, cwd }, argument) {
    const dir = resolve(cwd, argument ?? '.')
    const files = {
      config: join(dir, 'postern.yaml'),
      key: join(dir, 'user_ca'),
      policy: join(dir, 'policies', 'first.yaml'),
    }
    await checkAbsent(Object.values(files))
    const { createCaKeyFile, openAuthority } = await import('../../app.ts')
    const { loadConfig } = await import('../../config.ts')
    try {
      for (const path of [dir, join(dir, 'data'), join(dir, 'policies')]) {
        await mkdir(path, { recursive: true, mode: 0o700 })
      }
      await createCaKeyFile(files.key)
      await writeNew(files.policy, policyTemplate)
      await writeSchemas(join(dir, 'schemas'))
      // Last: with it, everything it names is there.
      await writeNew(files.config, configTemplate)
    } catch (cause) {
      if (cause instanceof AppError) throw cause
      throw new AppError('invalid_config', 'The directory cannot be written.', {
        detail: String(cause),
        hint: `ls -ld ${dir}`,
        cause,
      })
    }
    // The environment is left aside: this tells of the files as they were written.
    const { config } = await loadConfig({ file: files.config, env: {}, cwd })
    const authority = await openAuthority(config)
    const { publicKey } = authority
    await authority.close()

    const shown = relative(cwd, files.config)
    const name = shown.startsWith('..') ? files.config : shown
    const flag = name === 'postern.yaml' ? '' : ` --config ${name}`
    output.line('Made:')
    output.facts([
      [`  ${files.config}`, 'the configuration'],
      [`  ${files.key}`, 'the CA key: it signs for every host that trusts it; keep a copy offline'],
      [`  ${files.policy}`, 'a first policy, an example'],
      [`  ${join(dir, 'data')}`, 'for the log'],
      [`  ${join(dir, 'schemas')}`, 'for an editor, which then explains and checks these files'],
    ])
    output.text(`
Next:
  1. Name your identity provider under "identity" in ${name}.
  2. Say who may reach what in ${files.policy}, then: postern policy check${flag}
  3. postern serve${flag}
  4. On each host, as root: put this line into /etc/ssh/postern/user_ca.pub
       ${publicKey}
     and into /etc/ssh/sshd_config.d/50-postern.conf
       TrustedUserCAKeys /etc/ssh/postern/user_ca.pub
       AuthorizedPrincipalsFile /etc/ssh/postern/principals/%u
     with the line LOGIN@HOST in /etc/ssh/postern/principals/LOGIN.
`)
    return 0
  },
}

/** Nothing is written unless all of it can be new. A dangling symlink counts as something. */
const checkAbsent = async (paths: readonly string[]): Promise<void> => {
  const present: string[] = []
  for (const path of paths) {
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    )
    if (isThere) present.push(path)
  }
  if (present.length > 0) {
    throw new AppError(
      'already_exists',
      `${present.join(' and ')} ${present.length === 1 ? 'exists' : 'exist'} already; nothing was written.`,
      { hint: 'name another directory: postern init DIR' },
    )
  }
}

const writeNew = async (path: string, text: string): Promise<void> => {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}
