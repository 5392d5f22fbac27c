import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { AppError, exitOf } from '../../src/errors.ts'
import { useDirectories } from '../fakes/directory.ts'

export const createDirectory = useDirectories()

/** The directory of a postern.yaml with this text. */
export const write = (text: string): string => {
  const dir = createDirectory()
  writeFileSync(join(dir, 'postern.yaml'), text)
  return dir
}

export const load = (text: string, env: Record<string, string> = {}) =>
  loadConfig({ env, cwd: write(text) })

/** The lines of the refusal, which is `invalid_config` and so exit 78. */
export const listProblems = async (text: string, env: Record<string, string> = {}) => {
  const error = await load(text, env).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(AppError)
  const { code, message } = error as AppError
  expect(code).toBe('invalid_config')
  expect(exitOf(code)).toBe(78)
  return message.split('\n')
}

/** The least a configuration holds. */
export const key = 'ca: { userKey: user_ca }\n'
export const oidc = (fields: string) => `${key}identity: { oidc: [{ ${fields} }] }\n`
export const idp = 'issuer: https://idp.example.com, audience: https://postern.example.com'
