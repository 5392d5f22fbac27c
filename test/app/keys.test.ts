import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, build, createCaKeyFile } from '../../src/app.ts'
import type { Config } from '../../src/config.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createTestConfig, publicUrl } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { useDirectories } from '../fakes/directory.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'

/** What a start finds of its keys: in every state of the ring, and where one is gone or another. */
const createDirectory = useDirectories()
let issuer: OidcIssuer
beforeAll(async () => {
  issuer = await startOidcIssuer()
})
afterAll(() => issuer.close())

/** A service over key files, which can be started again. */
const createPlace = async (ca: Partial<Config['ca']> = {}) => {
  const dir = createDirectory()
  mkdirSync(join(dir, 'policies'))
  writeFileSync(
    join(dir, 'policies', 'a.yaml'),
    `roles: { admin: [{ oidc: { issuer: "${issuer.issuer}", groups: [platform] } }] }\nrules: []\n`,
  )
  await createCaKeyFile(join(dir, 'user_ca'))
  const config = createTestConfig(dir, issuer.issuer)
  const lines: string[] = []
  const logger = createLogger('warn', { write: (line) => lines.push(line) })
  // One log for all its starts, in memory.
  const store = createFakeStore()
  const kept = { ...store, close: async () => {} }
  const start = (more: Partial<Config['ca']> = {}, caKey = false) =>
    build({ ...config, ca: { ...config.ca, ...ca, ...more } }, { logger, store: kept }, { caKey })
  return { dir, keys: join(config.dataDir, 'keys'), lines, start, store }
}

const step = async (app: App, name: string, body: Readonly<Record<string, unknown>> = {}) => {
  const response = await app.fetch(
    new Request(`${publicUrl}/v1/ca/keys/${name}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await issuer.mintFor('maya')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    }),
  )
  return (await response.json()) as Readonly<Record<string, unknown>>
}
const read = async (app: App, path: string) =>
  (await app.fetch(new Request(`${publicUrl}${path}`))).json() as Promise<Record<string, unknown>>
const statesOf = async (app: App) => {
  const { keys } = (await read(app, '/v1/ca/keys')) as { keys: readonly { state: string }[] }
  return keys.map(({ state }) => state)
}
const userKey = (path: string) => ({ userKey: { kind: 'file', path } as const })

describe('the keys of a service', () => {
  test('are found again in every state they can be in, and the active one signs', async () => {
    const place = await createPlace()
    for (const [name, states] of [
      ['next', ['active', 'next']],
      ['activate', ['next', 'active']],
      ['retire', ['retired', 'active']],
      ['remove', ['active']],
    ] as const) {
      const app = await place.start()
      await step(app, name)
      await app.close()
      const again = await place.start()
      expect(await statesOf(again)).toEqual(states)
      expect(await read(again, '/readyz')).toMatchObject({
        checks: expect.arrayContaining([{ name: 'signer', ok: true }]),
      })
      await again.close()
    }
    // The key that was removed may go, and its name may stay.
    rmSync(join(place.dir, 'user_ca'))
    const app = await place.start()
    expect(await statesOf(app)).toEqual(['active'])
    await app.close()
  })

  test('are made as files that nobody else can read, and are in no entry', async () => {
    const { start, keys, store } = await createPlace()
    const app = await start()
    const { fingerprint } = await step(app, 'next')
    await app.close()
    const [name] = readdirSync(keys)
    expect(String(fingerprint).replaceAll('+', '-').replaceAll('/', '_')).toContain(name)
    expect(statSync(keys).mode & 0o777).toBe(0o700)
    const file = join(keys, String(name))
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const secret = String(readFileSync(file, 'utf8').split('\n')[1])
    expect(JSON.stringify(store.rows)).not.toContain(secret)
  })

  test('are encrypted where the configured one is', async () => {
    const { dir, start, keys } = await createPlace()
    const pass = join(dir, 'pass')
    writeFileSync(pass, 'correct horse\n')
    chmodSync(pass, 0o600)
    const app = await start({ userKeyPassphraseFile: pass })
    await step(app, 'next')
    await step(app, 'activate')
    await app.close()
    const text = readFileSync(join(keys, String(readdirSync(keys)[0])), 'utf8')
    expect(text).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/)
    const again = await start({ userKeyPassphraseFile: pass })
    expect(await statesOf(again)).toEqual(['next', 'active'])
    await again.close()
    await expect(start()).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining(
        'cannot be opened: The CA key file is damaged, or has a passphrase and none is configured.',
      ),
    })
  })
})

describe('a start', () => {
  test('without the next key goes on, and says so', async () => {
    const { start, keys, lines } = await createPlace()
    const app = await start()
    const { fingerprint } = await step(app, 'next')
    await app.close()
    const file = join(keys, String(readdirSync(keys)[0]))
    copyFileSync(file, `${file}.away`)
    rmSync(file)
    const again = await start()
    expect(lines.join('')).toContain('a next CA key cannot be opened')
    expect(await read(again, '/readyz')).toMatchObject({
      status: 'degraded',
      checks: expect.arrayContaining([
        {
          name: 'keys',
          ok: false,
          reason:
            'A next CA key cannot be opened: put it back, then `postern ca activate`, or `postern ca retire` and `remove` it.',
        },
      ]),
    })
    expect(await step(again, 'activate')).toMatchObject({ code: 'invalid_config' })
    // Put back, it is taken without a restart.
    copyFileSync(`${file}.away`, file)
    expect(await step(again, 'activate')).toMatchObject({ state: 'active', fingerprint })
    await again.close()
  })

  test('without the active key is refused with what mends it, as after a backup was put back', async () => {
    const { dir, start, keys } = await createPlace()
    const app = await start()
    await step(app, 'next')
    const { fingerprint } = await step(app, 'activate')
    await app.close()
    rmSync(keys, { recursive: true })
    await expect(start()).rejects.toMatchObject({
      code: 'invalid_config',
      message: `The active CA key, ${fingerprint}, cannot be opened: The CA key file does not exist.`,
      hint: expect.stringMatching(
        /^look for .*\/data\/keys\/\S+; .*; where it is lost, name another key in ca\.userKey and start once with postern serve --accept-ca$/,
      ),
    })

    await createCaKeyFile(join(dir, 'another'))
    const another = userKey(join(dir, 'another'))
    const accepted = await start(another, true)
    // The one that was lost can be let go of, the one that began too.
    expect(await statesOf(accepted)).toEqual(['next', 'next', 'active'])
    expect(await step(accepted, 'retire', { fingerprint })).toMatchObject({ state: 'retired' })
    await accepted.close()
    const again = await start(another)
    expect(await statesOf(again)).toEqual(['next', 'retired', 'active'])
    await again.close()
  })

  test.each([false, true])(
    'with a key in the configuration that the log does not know is refused (a ring: %s)',
    async (hasRing) => {
      const { dir, start } = await createPlace()
      const app = await start()
      if (hasRing) await step(app, 'next')
      await app.close()
      await createCaKeyFile(join(dir, 'another'))
      const another = userKey(join(dir, 'another'))
      await expect(start(another)).rejects.toMatchObject({
        code: 'invalid_config',
        message: expect.stringMatching(
          /^ca\.userKey names SHA256:\S{43}, which the log does not know as a key of this CA\.$/,
        ),
        hint: expect.stringMatching(/^put ca\.userKey back.*postern serve --accept-ca, once$/),
      })
      const accepted = await start(another, true)
      expect((await statesOf(accepted)).at(-1)).toBe('active')
      await accepted.close()
      await (await start(another)).close()
    },
  )

  test('says so where the configuration names another key than the one that signs', async () => {
    const { start, lines } = await createPlace()
    const app = await start()
    await step(app, 'next')
    await step(app, 'activate')
    await app.close()
    await (await start()).close()
    expect(lines.join('')).toContain(
      'ca.userKey names another key than the one that signs: the log decides',
    )
  })

  test('takes no key back that was removed', async () => {
    const { start } = await createPlace()
    const app = await start()
    const { fingerprint: first } = (
      (await read(app, '/v1/ca/keys')) as { keys: readonly { fingerprint: string }[] }
    ).keys[0] as { fingerprint: string }
    await step(app, 'next')
    await step(app, 'activate')
    await step(app, 'remove', { fingerprint: first, force: true })
    await app.close()
    await expect(start({}, true)).rejects.toMatchObject({
      code: 'ca_key_conflict',
      message: `${first} was removed, and is never taken again.`,
    })
  })
})
