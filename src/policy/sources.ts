import type { z } from 'zod'
import { isRuleName } from '../lib/names.ts'
import { listProblems, type Path, type Problem, parseYaml, type YamlFile } from '../lib/yaml.ts'
import type { Finding } from './consistency.ts'
import {
  entryShapes,
  fileShape,
  type KnownHostShape,
  type RolesShape,
  type RuleShape,
} from './schema.ts'
import type { TestShape } from './test-schema.ts'
import { type HostShape, isMap } from './values.ts'
import type { WhoShape } from './who-schema.ts'

/** An entry of a file: what it says, and where. */
export interface Entry<T> {
  readonly shape: T
  readonly yaml: YamlFile
  readonly path: Path
}

/** An entry under a name. */
export type Named<T> = Entry<T> & { readonly name: string }

/** Everything that stands in the files, and everything that is wrong with any one of its entries. */
export interface Sources {
  readonly identities: readonly Named<readonly WhoShape[]>[]
  readonly hostGroups: readonly Named<readonly HostShape[]>[]
  /** All the names in use, also those of entries that are wrong: whoever refers to them is not to blame. */
  readonly identityNames: ReadonlySet<string>
  readonly hostGroupNames: ReadonlySet<string>
  readonly hosts: readonly Entry<KnownHostShape>[]
  readonly roles: readonly Entry<RolesShape>[]
  readonly rules: readonly Entry<RuleShape>[]
  readonly tests: readonly Entry<TestShape>[]
  readonly problems: readonly Problem[]
}

/** Reads the files in the order of their names, each entry for itself: one that is wrong hides no other. */
export const readSources = (files: Readonly<Record<string, Uint8Array>>): Sources => {
  const identities: Named<readonly WhoShape[]>[] = []
  const hostGroups: Named<readonly HostShape[]>[] = []
  const identityNames = new Set<string>()
  const hostGroupNames = new Set<string>()
  const hosts: Entry<KnownHostShape>[] = []
  const roles: Entry<RolesShape>[] = []
  const rules: Entry<RuleShape>[] = []
  const tests: Entry<TestShape>[] = []
  const problems: Problem[] = []

  for (const file of listNames(files)) {
    const parsed = parseYaml(file, files[file] as Uint8Array)
    if (!parsed.ok) {
      problems.push(...parsed.problems)
      continue
    }
    const { yaml } = parsed
    // An empty file, or one of comments only, is no mistake: it says nothing.
    const whole = fileShape.safeParse(yaml.value ?? {})
    if (!whole.success) problems.push(...explain(yaml, whole.error, []))
    if (isTestFile(file)) {
      for (const key of listKeys(yaml.value).filter((name) => name !== 'tests')) {
        const message = 'a *.test.yaml holds tests alone; move this to another file'
        problems.push({ file, ...yaml.locateKey([key]), message: `${key}: ${message}` })
      }
    }
    const read = <T>(schema: z.ZodType<T>, value: unknown, path: Path): readonly Entry<T>[] => {
      const result = schema.safeParse(value)
      if (result.success) return [{ shape: result.data, yaml, path }]
      problems.push(...explain(yaml, result.error, path))
      return []
    }
    /** The entries of a map of names, each defined once in all the files. */
    const readNamed = <T>(
      key: 'identities' | 'hostGroups',
      schema: z.ZodType<T>,
      known: Set<string>,
    ): readonly Named<T>[] =>
      listMembers(yaml.value, key).flatMap(([name, value]) => {
        const path = [key, name]
        const noun = key === 'identities' ? 'identities' : 'hosts'
        const message = !isRuleName(name)
          ? `${key === 'identities' ? key : 'groups'} are named with lower-case letters, digits and hyphens, at most 64`
          : known.has(name)
            ? `the name ${name} stands for other ${noun} already; choose another`
            : undefined
        if (message !== undefined) problems.push({ file, ...yaml.locateKey(path), message })
        known.add(name)
        return read(schema, value, path).map((entry) => ({ ...entry, name }))
      })
    const readList = <T>(key: string, schema: z.ZodType<T>): readonly Entry<T>[] =>
      listItems(yaml.value, key).flatMap((value, at) => read(schema, value, [key, at]))

    identities.push(...readNamed('identities', entryShapes.identities, identityNames))
    hostGroups.push(...readNamed('hostGroups', entryShapes.hostGroups, hostGroupNames))
    hosts.push(...readList('hosts', entryShapes.hosts))
    if (isMap(yaml.value) && Object.hasOwn(yaml.value, 'roles')) {
      roles.push(...read(entryShapes.roles, yaml.value['roles'], ['roles']))
    }
    rules.push(...readList<RuleShape>('rules', entryShapes.rules))
    tests.push(...readList<TestShape>('tests', entryShapes.tests))
  }
  const named = { identities, hostGroups, identityNames, hostGroupNames }
  return { ...named, hosts, roles, rules, tests, problems }
}

/** File names in byte order: the order in which their rules are read. */
export const listNames = (files: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.keys(files).sort(compareBytes)

/** A file of tests beside the policy: nobody looks for a rule there. */
const isTestFile = (name: string): boolean => name.endsWith('.test.yaml')

const listKeys = (file: unknown): readonly string[] => (isMap(file) ? Object.keys(file) : [])

// The entries of a file, also of one whose other keys are wrong.

const listMembers = (file: unknown, key: string): readonly (readonly [string, unknown])[] => {
  const members = isMap(file) ? file[key] : undefined
  return isMap(members) ? Object.entries(members) : []
}

const listItems = (file: unknown, key: string): readonly unknown[] => {
  const items = isMap(file) ? file[key] : undefined
  return Array.isArray(items) ? items : []
}

/** A finding inside an entry, at its place in the file. */
export const placeFinding = ({ yaml, path }: Entry<unknown>, finding: Finding): Problem => ({
  file: yaml.file,
  ...yaml.locate([...path, ...finding.path]),
  message: `${describeKey(finding.path)}${finding.message}`,
})

const explain = (
  yaml: YamlFile,
  error: Pick<z.ZodError, 'issues'>,
  under: Path,
): readonly Problem[] =>
  listProblems(yaml, {
    issues: error.issues.map((issue) => ({
      ...issue,
      path: [...under, ...issue.path],
      message:
        issue.code === 'custom' && issue.params?.['atKey'] === true
          ? issue.message
          : `${describeKey(issue.path as Path)}${issue.message}`,
    })),
  })

/** The key a problem is about, as the start of its sentence. */
const describeKey = (path: Path): string => {
  const key = path.findLast((step) => typeof step === 'string')
  return key === undefined ? '' : `${key}: `
}

const compareBytes = (a: string, b: string): number =>
  Buffer.compare(Buffer.from(a), Buffer.from(b))

export const sortProblems = (problems: readonly Problem[]): readonly Problem[] =>
  [...problems].sort(
    (a, b) => compareBytes(a.file, b.file) || a.line - b.line || a.column - b.column,
  )
