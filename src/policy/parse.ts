import type { z } from 'zod'
import { encodeHex, encodeUtf8, sha256 } from '../lib/bytes.ts'
import { formatCanonical } from '../lib/json.ts'
import { isRuleName } from '../lib/names.ts'
import { listProblems, type Path, type Problem, parseYaml, type YamlFile } from '../lib/yaml.ts'
import {
  createEntrySet,
  createRule,
  type Finding,
  listCautions,
  listFindings,
  listStars,
} from './compile.ts'
import { createEvaluator, type Evaluator } from './evaluate.ts'
import type { Policy, RuleRef } from './index.ts'
import { entryShapes, fileShape, type RuleShape, type TestShape } from './schema.ts'
import { runTest } from './test.ts'
import type { WhoShape } from './who-schema.ts'

/** A policy that can be used, or everything that is wrong with it: all files, in order of place. */
export type PolicyResult =
  | { readonly ok: true; readonly policy: Policy; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export interface PolicyOptions {
  /** `ca.maxTtl` of the configuration, in seconds; where it is absent no rule's ttl is too long. */
  readonly maxTtlSeconds?: number
}

/**
 * Files, by name, as one policy: parsed, checked each for itself and against each other, and then
 * asked by the files' own tests. Pure: the same files always give the same result.
 */
export const parsePolicy = (
  files: Readonly<Record<string, Uint8Array>>,
  { maxTtlSeconds = Number.POSITIVE_INFINITY }: PolicyOptions = {},
): PolicyResult => {
  const names = Object.keys(files).sort(compareBytes)
  const found = readEntries(names.map((name) => [name, files[name] as Uint8Array]))
  const refs = new Map<string, RuleRef>()
  const problems = [
    ...found.problems,
    ...nameRules(found, refs),
    ...checkRules(found, maxTtlSeconds),
  ]
  if (problems.length > 0) return { ok: false, problems: sortProblems(problems) }

  const evaluator = createEvaluator(compileRules(found, refs))
  const failures = runTests(found, evaluator, new Set(refs.keys()))
  if (failures.length > 0) return { ok: false, problems: sortProblems(failures) }

  const texts = names.map(
    (name) => [name, Buffer.from(files[name] as Uint8Array).toString('utf8')] as const,
  )
  const policy: Policy = Object.freeze({
    sha256: encodeHex(sha256(encodeUtf8(formatCanonical(texts)))),
    files: Object.freeze(Object.fromEntries(texts)),
    ruleCount: found.rules.length,
    listQuestions: evaluator.listQuestions,
    evaluate: evaluator.evaluate,
  })
  return { ok: true, policy, warnings: listWarnings(found) }
}

/** An entry of a file: what it says, and where. */
interface Entry<T> {
  readonly shape: T
  readonly yaml: YamlFile
  readonly path: Path
}

/** What the files say, each entry for itself; what could not be read is a problem instead. */
interface Entries {
  readonly identities: readonly (Entry<readonly WhoShape[]> & { readonly name: string })[]
  /** Every name that identities have, also of those that are wrong: rules that name them are not. */
  readonly names: ReadonlySet<string>
  readonly rules: readonly Entry<RuleShape>[]
  readonly tests: readonly Entry<TestShape>[]
  readonly problems: readonly Problem[]
}

const readEntries = (files: readonly (readonly [string, Uint8Array])[]): Entries => {
  const problems: Problem[] = []
  const names = new Set<string>()
  const identities: Entries['identities'][number][] = []
  const rules: Entry<RuleShape>[] = []
  const tests: Entry<TestShape>[] = []

  for (const [file, bytes] of files) {
    const parsed = parseYaml(file, bytes)
    if (!parsed.ok) {
      problems.push(...parsed.problems)
      continue
    }
    const { yaml } = parsed
    /** The entry as a list of one; of none, and its problems noted, where it is wrong. */
    const read = <T>(schema: z.ZodType<T>, value: unknown, path: Path): Entry<T>[] => {
      const result = schema.safeParse(value)
      if (result.success) return [{ shape: result.data, yaml, path }]
      problems.push(...explain(yaml, result.error, path))
      return []
    }
    // An empty file, or one of comments only, is no mistake: it says nothing.
    read(fileShape, yaml.value ?? {}, [])
    const entries = listEntries(yaml.value)
    for (const [name, value] of entries.identities) {
      const path = ['identities', name]
      const message = explainName(name, names)
      if (message !== undefined) problems.push({ file, ...yaml.locateKey(path), message })
      names.add(name)
      const set = read<readonly WhoShape[]>(entryShapes.identities, value, path)
      identities.push(...set.map((entry) => ({ ...entry, name })))
    }
    for (const [at, value] of entries.rules.entries()) {
      rules.push(...read<RuleShape>(entryShapes.rules, value, ['rules', at]))
    }
    for (const [at, value] of entries.tests.entries()) {
      tests.push(...read<TestShape>(entryShapes.tests, value, ['tests', at]))
    }
  }
  return { identities, names, rules, tests, problems }
}

const explainName = (name: string, known: ReadonlySet<string>): string | undefined => {
  if (!isRuleName(name)) {
    return 'identities are named with lower-case letters, digits and hyphens, at most 64'
  }
  return known.has(name)
    ? `the name ${name} stands for other identities already; choose another`
    : undefined
}

/** Gives each rule its place, by its name, and finds the names that are given twice. */
const nameRules = ({ rules }: Entries, refs: Map<string, RuleRef>): readonly Problem[] =>
  rules.flatMap((entry) => {
    const { name } = entry.shape
    const known = refs.get(name)
    if (known === undefined) {
      const { line } = entry.yaml.locate(entry.path)
      refs.set(name, { name, file: entry.yaml.file, line })
      return []
    }
    const message = `is the name of the rule at ${known.file}:${known.line} already; choose another`
    return [place(entry, { path: ['name'], message })]
  })

const checkRules = (found: Entries, maxTtlSeconds: number): readonly Problem[] => {
  const identities = new Map<string, readonly WhoShape[]>(
    [...found.names].map((name) => [name, []]),
  )
  for (const { name, shape } of found.identities) identities.set(name, shape)
  return found.rules.flatMap((entry) =>
    listFindings(entry.shape, { identities, maxTtlSeconds }).map((finding) =>
      place(entry, finding),
    ),
  )
}

const compileRules = ({ identities, rules }: Entries, refs: ReadonlyMap<string, RuleRef>) => {
  const sets = new Map(identities.map(({ name, shape }) => [name, createEntrySet(shape)]))
  return rules.map(({ shape }) => createRule(shape, refs.get(shape.name) as RuleRef, sets))
}

const runTests = (
  { tests }: Entries,
  evaluator: Evaluator,
  ruleNames: ReadonlySet<string>,
): readonly Problem[] =>
  tests.flatMap((entry) =>
    runTest(entry.shape, evaluator, ruleNames).map((finding) =>
      // A test's own message names it; the key would only be in the way.
      ({ ...place(entry, finding), message: finding.message }),
    ),
  )

const listWarnings = ({ identities, rules }: Entries): readonly Problem[] => {
  if (rules.length === 0) return [nothing]
  const ofRules = rules.flatMap((entry) =>
    listCautions(entry.shape).map((finding) => place(entry, finding)),
  )
  const ofIdentities = identities.flatMap((entry) =>
    listStars([], entry.shape).map((finding) => place(entry, finding)),
  )
  return sortProblems([...ofRules, ...ofIdentities])
}

const place = ({ yaml, path }: Entry<unknown>, finding: Finding): Problem => ({
  file: yaml.file,
  ...yaml.locate([...path, ...finding.path]),
  message: `${describeKey(finding.path)}${finding.message}`,
})

/** The entries of a file, also of one whose other keys are wrong: then they hide nothing. */
const listEntries = (file: unknown) => {
  const { identities, rules, tests } = { ...(isMap(file) ? file : {}) }
  return {
    identities: isMap(identities) ? Object.entries(identities) : [],
    rules: Array.isArray(rules) ? (rules as readonly unknown[]) : [],
    tests: Array.isArray(tests) ? (tests as readonly unknown[]) : [],
  }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const nothing: Problem = {
  file: '*.yaml',
  line: 1,
  column: 1,
  message: 'there are no rules, so every request is refused; write one',
}

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

/** In order of their place: files by the bytes of their names, then lines. */
export const sortProblems = (problems: readonly Problem[]): readonly Problem[] =>
  [...problems].sort(
    (a, b) => compareBytes(a.file, b.file) || a.line - b.line || a.column - b.column,
  )
