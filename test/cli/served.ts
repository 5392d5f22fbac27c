import { readdirSync, rmSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { build } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createPublicKeyLine } from '../app.ts'
import type { OidcIssuer } from '../fakes/oidc.ts'
import { type Outcome, runCli } from './run.ts'
import { createService } from './service.ts'

/** What an admin has in hand: a directory, the service in it, and the commands beside that. */
export interface Served {
  readonly cwd: string
  pathOf(name: string): string
  /** Runs a command, without the warning about this configuration's audience, which is never the matter. */
  cli(...argv: string[]): Promise<Outcome>
  /** Runs the whole service in this process while `work` goes on, and answers what that does. */
  serve<T>(work: (url: string) => Promise<T>, accepted?: Accepted): Promise<T>
  /** A certificate for maya, as `POST /v1/certificates` answers it. */
  issue(url: string, publicKey?: string): Promise<{ serial: string; certificate: string }>
  /** The serial of one. */
  ask(url: string): Promise<string>
  /** What `mv data/postern.db* /elsewhere/` and `install` leave. */
  putBack(backup: string): Promise<void>
  /** SQL on the log by somebody whom no trigger keeps from it. */
  tamper(sql: string): void
}

interface Accepted {
  readonly rollback?: boolean
}

export const createServed = async (
  issuer: OidcIssuer,
  more: { readonly rest?: string } = {},
): Promise<Served> => {
  const cwd = await createService(issuer.issuer, more)
  const pathOf = (name: string) => join(cwd, name)
  const issue: Served['issue'] = async (url, publicKey = createPublicKeyLine()) => {
    const response = await fetch(`${url}/v1/certificates`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await issuer.mintFor('maya')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ publicKey, host: 'web-1.example.com', login: 'deploy' }),
    })
    expect(response.status).toBe(201)
    return (await response.json()) as { serial: string; certificate: string }
  }
  return Object.freeze({
    cwd,
    pathOf,
    issue,
    ask: async (url: string) => (await issue(url)).serial,
    async cli(...argv: string[]) {
      const { stderr, ...rest } = await runCli(argv, { cwd })
      return { ...rest, stderr: stderr.replace(/^warning: the audience .*\n/gm, '') }
    },
    async serve<T>(work: (url: string) => Promise<T>, accepted: Accepted = {}): Promise<T> {
      const { config } = await loadConfig({ cwd, env: {} })
      const app = await build(config, { logger: createLogger('fatal') }, accepted)
      try {
        return await work((await app.listen()).url)
      } finally {
        await app.close()
      }
    },
    async putBack(backup: string) {
      for (const name of readdirSync(pathOf('data'))) {
        if (name.startsWith('postern.db')) rmSync(pathOf(`data/${name}`))
      }
      await copyFile(backup, pathOf('data/postern.db'))
    },
    tamper(sql: string) {
      const connection = new Database(pathOf('data/postern.db'))
      const triggers = connection
        .prepare(`SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
        .all() as { name: string }[]
      for (const { name } of triggers) connection.exec(`DROP TRIGGER ${name}`)
      connection.exec(sql)
      connection.close()
    },
  })
}
