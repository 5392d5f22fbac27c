import { findNearest } from '../lib/nearest.ts'
import type { Path } from '../lib/yaml.ts'

/** The scalar settings, which a variable can set as well; lists live in the YAML alone. */
const paths = [
  'listen',
  'publicUrl',
  'dataDir',
  'policyDir',
  'knownHostsOnly',
  'tls.cert',
  'tls.key',
  'limits.perAddress',
  'limits.perIdentity',
  'limits.inFlight',
  'ca.userKey',
  'ca.userKeyPassphraseFile',
  'ca.agentSocket',
  'ca.maxTtl',
  'ca.backdate',
  'audit.checkpoints',
  'audit.copy',
  'metrics.listen',
  'log.level',
] as const

const prefix = 'POSTERN_'

/** Read by the command line: the configuration file itself, and the file of a token for `--url`. */
const commandVariables: readonly string[] = ['POSTERN_CONFIG', 'POSTERN_TOKEN_FILE']

const formatVariable = (path: string): string =>
  prefix +
  path
    .replace(/([A-Z])/g, '_$1')
    .replace('.', '_')
    .toUpperCase()

/** Every variable and the setting it sets: `POSTERN_CA_MAX_TTL` sets `ca.maxTtl`. */
export const variables: ReadonlyMap<string, Path> = new Map(
  paths.map((path) => [formatVariable(path), path.split('.')]),
)

type Env = Readonly<Record<string, string | undefined>>

/** A setting that the environment makes; it wins over the file's. */
export interface Override {
  readonly variable: string
  readonly path: Path
  readonly value: string
}

export const listOverrides = (env: Env): readonly Override[] =>
  [...variables].flatMap(([variable, path]) => {
    const value = env[variable]
    return value === undefined ? [] : [{ variable, path, value }]
  })

/** The file's value with the overrides in it; maps that are missing on the way are made. */
export const applyOverrides = (file: unknown, overrides: readonly Override[]): unknown =>
  overrides.reduce<unknown>(
    (value, override) => applyAt(value, override.path, override.value),
    file ?? {},
  )

const applyAt = (value: unknown, [step, ...rest]: Path, leaf: string): unknown => {
  if (step === undefined) return leaf
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  // What stands in a map's place is wrong; it is kept for the schema to say so.
  if (!isMap && value !== undefined) return value
  const map = { ...(value as Readonly<Record<string, unknown>> | undefined) }
  return { ...map, [step]: applyAt(map[step], rest, leaf) }
}

/**
 * A sentence for every `POSTERN_*` variable that sets nothing. No error: Kubernetes puts
 * `POSTERN_SERVICE_HOST` and its like into every pod beside a service named postern.
 */
export const listWarnings = (env: Env): readonly string[] =>
  Object.keys(env)
    .filter(
      (name) => name.startsWith(prefix) && !commandVariables.includes(name) && !variables.has(name),
    )
    .sort()
    .map((name) => {
      const nearest = findNearest(name, [...variables.keys(), ...commandVariables])
      return `the variable ${name} is no setting of ours and is not read${
        nearest === undefined ? '' : `; the nearest that is: ${nearest}`
      }`
    })
