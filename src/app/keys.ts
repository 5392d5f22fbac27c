import { join } from 'node:path'
import { parseEntry } from '../audit/entry.ts'
import type { Store } from '../audit/index.ts'
import { type Alive, findAlive } from '../audit/keys.ts'
import { listEntries } from '../audit/read.ts'
import { type Authority, createAuthority } from '../ca/index.ts'
import { type ChangingRing, createRing, type RingKey } from '../ca/rotation.ts'
import type { Signer } from '../ca/signer.ts'
import { openAgentSigner } from '../ca/signers/agent.ts'
import { createNamedKeyFile, formatKeyName, openFileSigner } from '../ca/signers/file.ts'
import { describeSigner } from '../ca/signing-key.ts'
import { type Config, readSecret } from '../config.ts'
import { AppError } from '../errors.ts'
import { type Clock, formatTime, systemClock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { readRing } from '../rotate/ring.ts'
import type { KeyFiles } from '../rotate.ts'
import { openReader } from '../store/index.ts'

/** Where `postern ca next` keeps the keys that it makes. */
const findKeyDirectory = (config: Config): string => join(config.dataDir, 'keys')

/** What opens the CA over: a test's signer in place of the configured one, and its clock. */
interface Given {
  readonly clock?: Clock | undefined
  readonly signer?: Signer | undefined
}

/** The CA over the key that the configuration names alone; nothing of the log or the door. */
export const openAuthority = async (config: Config, given: Given = {}): Promise<Authority> => {
  const signer = given.signer ?? (await openConfigured(config))
  return openOver(config, signer, given.clock)
}

const openOver = async (
  { ca }: Config,
  signer: Signer,
  clock: Clock = systemClock,
  ring?: ChangingRing,
): Promise<Authority> => {
  const { maxTtlSeconds, backdateSeconds } = ca
  try {
    const more = ring === undefined ? {} : { ring }
    return await createAuthority({ signer, clock, maxTtlSeconds, backdateSeconds, ...more })
  } catch (error) {
    await signer.close()
    throw error
  }
}

const readPassphrase = async ({ ca }: Config): Promise<{ readonly passphrase?: string }> =>
  ca.userKeyPassphraseFile === undefined
    ? {}
    : { passphrase: await readSecret(ca.userKeyPassphraseFile) }

const openConfigured = async (config: Config): Promise<Signer> => {
  const { userKey } = config.ca
  return userKey.kind === 'file'
    ? openFileSigner({ path: userKey.path, ...(await readPassphrase(config)) })
    : openAgent(config, userKey.fingerprint)
}

const openAgent = (config: Config, fingerprint: string): Promise<Signer> => {
  const { agentSocket } = config.ca
  if (agentSocket !== undefined) return openAgentSigner({ socket: agentSocket, fingerprint })
  throw new AppError('invalid_config', 'ca.userKey is held by an ssh-agent, and none is named.', {
    hint: 'set ca.agentSocket in postern.yaml, or SSH_AUTH_SOCK',
  })
}

const createFiles = (config: Config): KeyFiles =>
  Object.freeze({
    create: async () =>
      createNamedKeyFile({
        directory: findKeyDirectory(config),
        ...(await readPassphrase(config)),
      }),
    async open({ fingerprint, place }: Pick<RingKey, 'fingerprint' | 'place'>) {
      if (place === 'agent') return openAgent(config, fingerprint)
      const signer =
        place === 'config'
          ? await openConfigured(config)
          : await openFileSigner({
              path: join(findKeyDirectory(config), formatKeyName(fingerprint)),
              ...(await readPassphrase(config)),
            })
      if (describeSigner(signer).fingerprint === fingerprint) return signer
      await signer.close()
      throw new AppError('invalid_config', 'The CA key there is another one.', {
        hint:
          place === 'config'
            ? `name the key ${fingerprint} in ca.userKey`
            : `ssh-keygen -lf ${join(findKeyDirectory(config), formatKeyName(fingerprint))}`,
      })
    },
  })

/** The CA over its ring, and what a start has to put on record of it. */
export interface Keys {
  readonly ring: ChangingRing
  readonly authority: Authority
  readonly files: KeyFiles
  /** The key that the configuration names, where it is to become the active one by `--accept-ca`. */
  readonly adopted: Pick<RingKey, 'fingerprint' | 'publicKey'> | undefined
}

/**
 * Opens the keys of the ring that may sign. What the log says of them wins: a configuration that names
 * a key the log does not know is refused, for one could take it for the key that signs. Codes:
 * `invalid_config`, `signer_unavailable`, `signer_selfcheck`, `log_corrupt`.
 */
export const openKeys = async (given: {
  readonly config: Config
  readonly store: Pick<Store, 'find' | 'findAfter'>
  readonly clock: Clock
  readonly signer?: Signer | undefined
  readonly logger: Logger
  readonly isAccepted: boolean
}): Promise<Keys> => {
  const { config, store, clock, logger, isAccepted } = given
  const files = createFiles(config)
  const { keys, version } = await readRing(store)
  const configured = await openOrExplain(async () => given.signer ?? openConfigured(config))
  const own = 'signer' in configured ? describeSigner(configured.signer) : undefined

  const isKnown = await isKnownKey(own?.fingerprint, keys, store)
  if ('error' in configured && (keys.length === 0 || isAccepted)) throw configured.error
  if (!isKnown && !isAccepted) throw refuseUnknown(own?.fingerprint as string, keys)

  const isAdopted = isAccepted && own !== undefined && !isActive(own.fingerprint, keys, isKnown)
  const ring = createRing(
    keys.length > 0 || own === undefined ? keys : [await beginRing(own, store, clock)],
    version,
  )
  const active = ring.active()
  const isOwn = (key: RingKey) => key.fingerprint === own?.fingerprint
  const signer =
    'signer' in configured && (isAdopted || isOwn(active))
      ? configured.signer
      : await openActive(files, active)
  const authority = await openOver(config, signer, clock, ring)

  for (const key of ring.list().filter(({ state }) => state === 'next')) {
    const isOpen = authority.has(key.fingerprint)
    const opened = isOpen
      ? { signer }
      : await openOrExplain(async () =>
          isOwn(key) && 'signer' in configured ? configured.signer : files.open(key),
        )
    if ('error' in opened) {
      const { message, hint } = opened.error
      logger.error(
        { key: key.fingerprint, reason: message, hint },
        'a next CA key cannot be opened',
      )
    } else if (!isOpen) await authority.add(opened.signer)
  }
  if (own !== undefined && !isAdopted && !isOwn(active)) {
    const facts = { configured: own.fingerprint, active: active.fingerprint }
    logger.warn(facts, 'ca.userKey names another key than the one that signs: the log decides')
    if (!authority.has(own.fingerprint) && 'signer' in configured) await configured.signer.close()
  }
  return { ring, authority, files, adopted: isAdopted ? own : undefined }
}

/** A key of the ring, and what it has signed that is alive now. */
export interface KeyFacts extends RingKey {
  readonly alive?: Alive
}

/**
 * The ring as the log has it, also beside a running service and without its keys; before the first
 * step of all the configured key, which is then opened. Codes: as `openAuthority`, `log_corrupt`.
 */
export const readKeys = async (config: Config): Promise<readonly KeyFacts[]> => {
  const reader = await openReader(join(config.dataDir, 'postern.db')).catch((error) => {
    if (error instanceof AppError && error.code === 'not_found') return undefined
    throw error
  })
  try {
    const { keys } = reader === undefined ? { keys: [] } : await readRing(reader)
    const ring = keys.length > 0 ? keys : [await readConfigured(config, reader)]
    const alive = reader && (await findAlive(reader, systemClock()))
    return ring.map((key) => {
      const found = alive?.get(key.fingerprint)
      return { ...key, ...(found === undefined ? {} : { alive: found }) }
    })
  } finally {
    await reader?.close()
  }
}

const readConfigured = async (
  config: Config,
  reader: Pick<Store, 'findAfter'> | undefined,
): Promise<RingKey> => {
  const authority = await openAuthority(config)
  try {
    const { fingerprint, publicKey } = authority
    return await beginRing({ fingerprint, publicKey }, reader, systemClock)
  } finally {
    await authority.close()
  }
}

const openOrExplain = async (
  open: () => Promise<Signer>,
): Promise<{ readonly signer: Signer } | { readonly error: AppError }> => {
  try {
    return { signer: await open() }
  } catch (error) {
    if (error instanceof AppError) return { error }
    throw error
  }
}

/** Before the first step the log knows the key by its starts alone. */
const isKnownKey = async (
  fingerprint: string | undefined,
  keys: readonly RingKey[],
  store: Pick<Store, 'find'>,
): Promise<boolean> => {
  if (fingerprint === undefined) return true
  if (keys.length > 0) return keys.some((key) => key.fingerprint === fingerprint)
  const [start] = await listEntries(store, { type: 'start' }, 1)
  return start?.entry.type !== 'start' || start.entry.ca === fingerprint
}

const isActive = (fingerprint: string, keys: readonly RingKey[], isKnown: boolean): boolean =>
  keys.length === 0
    ? isKnown
    : keys.some((key) => key.fingerprint === fingerprint && key.state === 'active')

const beginRing = async (
  key: Pick<RingKey, 'fingerprint' | 'publicKey'>,
  store: Pick<Store, 'findAfter'> | undefined,
  clock: Clock,
): Promise<RingKey> => {
  const [first] = (await store?.findAfter({ type: 'start' }, 1, 0)) ?? []
  const since = first === undefined ? formatTime(clock()) : parseEntry(first).entry.time
  return { ...key, place: 'config', state: 'active', since, seq: 0 }
}

const adoptHint = 'where that is meant: postern serve --accept-ca, once'

const refuseUnknown = (fingerprint: string, keys: readonly RingKey[]): AppError => {
  const active = keys.find(({ state }) => state === 'active')?.fingerprint
  return new AppError(
    'invalid_config',
    `ca.userKey names ${fingerprint}, which the log does not know as a key of this CA.`,
    {
      hint: `put ca.userKey back${active === undefined ? '' : ` (${active} is active)`}, and change keys with \`postern ca next\`; hosts must trust a key before it signs; ${adoptHint}`,
    },
  )
}

const openActive = async (files: KeyFiles, { fingerprint, place }: RingKey): Promise<Signer> => {
  const opened = await openOrExplain(() => files.open({ fingerprint, place }))
  if ('signer' in opened) return opened.signer
  const { code, message, hint } = opened.error
  throw new AppError(code, `The active CA key, ${fingerprint}, cannot be opened: ${message}`, {
    hint: `${hint ?? 'put the key back'}; where it is lost, name another key in ca.userKey and start once with postern serve --accept-ca`,
    cause: opened.error,
  })
}
