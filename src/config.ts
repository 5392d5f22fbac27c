import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { listConflicts, listDoubts } from './config/checks.ts'
import { createSchema, type Settings } from './config/schema.ts'
import { applyOverrides, listOverrides, listWarnings, type Override } from './config/variables.ts'
import { AppError } from './errors.ts'
import type { Cidr } from './lib/address.ts'
import { formatProblem, listProblems, parseYaml, type YamlFile } from './lib/yaml.ts'

export { readSecret } from './config/secret.ts'

/** `600/m`: so many in a window of so many seconds. */
export interface Rate {
  readonly count: number
  readonly windowSeconds: number
}

export interface TcpAddress {
  readonly kind: 'tcp'
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
}

export interface UnixAddress {
  readonly kind: 'unix'
  readonly path: string
}

/** Where the CA's private key is kept. */
export type KeyPlace =
  | { readonly kind: 'file'; readonly path: string }
  /** An ssh-agent holds it, under this fingerprint. */
  | { readonly kind: 'agent'; readonly fingerprint: string }

/** Where every entry goes once more. */
export type CopyPlace =
  | { readonly kind: 'stdout' }
  | { readonly kind: 'file'; readonly path: string }

/** One OAuth app or GitHub App; a user's token counts only if it was minted for one of them. */
export interface GithubConfig {
  readonly clientId: string
  /** Read with `readSecret`. */
  readonly clientSecretFile: string
  /** Default `oauth-app`. */
  readonly type: 'oauth-app' | 'github-app'
  /** Without a slash at its end. Default `https://api.github.com`. */
  readonly apiUrl: string
}

/** One OIDC issuer. */
export interface OidcConfig {
  /** Compared with a token's `iss` character by character. */
  readonly issuer: string
  /** At least one; a token is ours if its `aud` names one of them. */
  readonly audience: readonly string[]
  /** Default `RS256`, `ES256`, `EdDSA`. */
  readonly algorithms: readonly string[]
  /** Default `groups`. */
  readonly groupsClaim: string
  /** Which claim to show as the person's name; default: the provider's own choice. */
  readonly nameClaim?: string
  /** What proves a second factor; default: nothing does. */
  readonly mfa?:
    | { readonly amr: readonly string[] }
    | { readonly acr: readonly string[] }
    | 'enforced'
  /** Written `maxTokenAge`; default 1h. */
  readonly maxTokenAgeSeconds: number
  /** How people log in at a desk; default: not with this issuer. */
  readonly login?: LoginConfig
}

/** What `postern login` needs of an issuer. Nothing in it is secret: everybody is told. */
export interface LoginConfig {
  /** A public client; one of the audience. */
  readonly clientId: string
  /** Default `browser` alone: a device code can be phished, as whoever approves it sees another's. */
  readonly flows: readonly ('browser' | 'device')[]
  /** Default `openid`, `profile`, `email`. */
  readonly scopes: readonly string[]
}

/**
 * The whole configuration, checked: paths are absolute, durations are seconds, URLs are https or
 * loopback. Frozen through and through.
 */
export interface Config {
  /** The file it was read from. */
  readonly file: string
  /** `host:port` or `unix:/path`. Default `127.0.0.1:8422`. */
  readonly listen: TcpAddress | UnixAddress
  /** Origin without a trailing slash, e.g. https://postern.example.com; default made of `listen`. */
  readonly publicUrl: string
  /** Holds the log, `postern.db`. Default `data`. */
  readonly dataDir: string
  /** Its `*.yaml` are the policy. Default `policies`. */
  readonly policyDir: string
  /** Whether a certificate can only be asked for a host on the list. Default false. */
  readonly knownHostsOnly: boolean
  /** PEM files; plain http where absent. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Peers whose `X-Forwarded-For` is believed; a plain-http listener beyond loopback serves only them. */
  readonly trustedProxies: readonly Cidr[]
  readonly limits: {
    /** Refused or unauthenticated requests of one address. Default `600/m`. */
    readonly perAddress: Rate | 'off'
    /** All requests of one identity. Default `600/m`. */
    readonly perIdentity: Rate | 'off'
    /** Requests being worked on at once; one more is 503 `overloaded`. Default 1024. */
    readonly inFlight: number
  }
  readonly ca: {
    /** Required. */
    readonly userKey: KeyPlace
    /** Read with `readSecret`. */
    readonly userKeyPassphraseFile?: string
    /** Default `$SSH_AUTH_SOCK`; absent where that is not set either. */
    readonly agentSocket?: string
    /** The longest life any rule may give. Written `maxTtl`, at most 7d; default 1h. */
    readonly maxTtlSeconds: number
    /** How far `validAfter` lies before now. Written `backdate`, at most 5m; default 60s. */
    readonly backdateSeconds: number
  }
  /** Default none; `serve` then refuses to start. */
  readonly identity: {
    readonly github: readonly GithubConfig[]
    readonly oidc: readonly OidcConfig[]
  }
  readonly audit: {
    /** The file that every signed checkpoint goes to; best on another disk. Default `checkpoints` in dataDir. */
    readonly checkpoints: string
    /** Every entry once more as a line of JSON, for log shippers: `stdout` or a file. Default off. */
    readonly copy?: CopyPlace
  }
  /** `/metrics` has a listener of its own. Default off. */
  readonly metrics: { readonly listen?: TcpAddress }
  /** Default `info`. */
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' }
}

/**
 * Reads the configuration: `file`, else `$POSTERN_CONFIG`, else `postern.yaml` in `cwd`; then the
 * `POSTERN_*` variables over it. Warnings are sentences for the admin. Code: `invalid_config`, whose
 * message names everything that is wrong at once, a line each, as `file:line:column: …`; also where
 * anybody may write to the file.
 */
export const loadConfig = async (given: {
  readonly file?: string | undefined
  readonly env: Env
  readonly cwd: string
}): Promise<{ readonly config: Config; readonly warnings: readonly string[] }> => {
  const { env, cwd } = given
  const name = given.file ?? env['POSTERN_CONFIG'] ?? 'postern.yaml'
  const file = resolve(cwd, name)
  const result = parseYaml(name, await readConfigFile(name, file))
  if (!result.ok) throw refuse(result.problems.map(formatProblem))

  const resolvePath = (path: string) => resolve(dirname(file), path)
  const overrides = listOverrides(env)
  const value = applyOverrides(result.yaml.value, overrides)
  const parsed = createSchema(resolvePath).safeParse(value)
  const issues = [...(parsed.error?.issues ?? []), ...listConflicts(value)]
  if (parsed.success && issues.length === 0) {
    const config = createConfig(file, parsed.data, env)
    return { config, warnings: [...listWarnings(env), ...listDoubts(config)] }
  }
  throw refuse(listLines(result.yaml, issues, overrides))
}

type Env = Readonly<Record<string, string | undefined>>

const refuse = (lines: readonly string[]): AppError =>
  new AppError('invalid_config', lines.join('\n'))

/** Opened first and then looked at, so that nothing can be swapped in between. */
const readConfigFile = async (name: string, path: string): Promise<Uint8Array> => {
  let file: FileHandle | undefined
  try {
    file = await open(path)
    const found = await file.stat()
    if (found.isFile() && (found.mode & 0o002) !== 0) {
      throw new AppError('invalid_config', `Anyone on this machine may write to ${name}.`, {
        hint: `whoever can may name identity providers and policies of their own: chmod o-w ${name}`,
      })
    }
    return await file.readFile()
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid_config', `The configuration ${name} cannot be read.`, {
      hint: 'name it with --config FILE, or make one: postern init',
      cause,
    })
  } finally {
    await file?.close()
  }
}

/** One line a problem, in the order of the file; then those of the environment. */
const listLines = (
  yaml: YamlFile,
  issues: readonly z.core.$ZodIssue[],
  overrides: readonly Override[],
): readonly string[] => {
  const sourceOf = ({ path }: z.core.$ZodIssue) =>
    overrides.find((override) => override.path.every((step, at) => step === path[at]))?.variable
  const inFile = listProblems(yaml, new z.ZodError(issues.filter((issue) => !sourceOf(issue))))
  return [
    ...inFile.toSorted((a, b) => a.line - b.line || a.column - b.column).map(formatProblem),
    ...issues.flatMap((issue) => {
      const variable = sourceOf(issue)
      return variable === undefined ? [] : [`${variable}: ${issue.message}`]
    }),
  ]
}

/**
 * The settings with absent ones left out. The agent's socket is defaulted here: only serving needs
 * it, so reading the log works from a shell without an agent.
 */
const createConfig = (file: string, settings: Settings, env: Env): Config => {
  const { listen, publicUrl, tls, ca, metrics, identity } = settings
  const agentSocket = ca.agentSocket ?? (env['SSH_AUTH_SOCK'] || undefined)
  return freeze({
    file,
    listen,
    publicUrl: publicUrl ?? formatOrigin(listen, tls !== undefined),
    dataDir: settings.dataDir,
    policyDir: settings.policyDir,
    knownHostsOnly: settings.knownHostsOnly,
    ...(tls === undefined ? {} : { tls }),
    trustedProxies: settings.trustedProxies,
    limits: settings.limits,
    ca: {
      userKey: ca.userKey,
      ...(ca.userKeyPassphraseFile === undefined
        ? {}
        : { userKeyPassphraseFile: ca.userKeyPassphraseFile }),
      ...(agentSocket === undefined ? {} : { agentSocket }),
      maxTtlSeconds: ca.maxTtl,
      backdateSeconds: ca.backdate,
    },
    identity: {
      github: identity.github,
      oidc: identity.oidc.map(({ nameClaim, mfa, maxTokenAge, login, ...rest }) => ({
        ...rest,
        ...(nameClaim === undefined ? {} : { nameClaim }),
        ...(mfa === undefined ? {} : { mfa }),
        ...(login === undefined ? {} : { login }),
        maxTokenAgeSeconds: maxTokenAge,
      })),
    },
    audit: {
      checkpoints: settings.audit.checkpoints ?? join(settings.dataDir, 'checkpoints'),
      ...(settings.audit.copy === undefined ? {} : { copy: settings.audit.copy }),
    },
    metrics: metrics.listen === undefined ? {} : { listen: metrics.listen },
    log: settings.log,
  })
}

/** What clients of a listener on this machine would call it. */
const formatOrigin = (listen: TcpAddress | UnixAddress, isTls: boolean): string => {
  const scheme = isTls ? 'https' : 'http'
  if (listen.kind === 'unix') return `${scheme}://localhost`
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  return new URL(`${scheme}://${host}:${listen.port}`).origin
}

const freeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}
