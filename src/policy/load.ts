import type { Dirent, Stats } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
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
import { createEvaluator } from './evaluate.ts'
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

const maxFileBytes = 1024 * 1024
const fileName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.yaml$/

/**
 * Reads the `*.yaml` directly in a directory as one policy. Never throws for what it finds there:
 * a directory or file that can't be read is a problem like any other.
 */
export const loadPolicy = async (
  directory: string,
  options: PolicyOptions = {},
): Promise<PolicyResult> => {
  const fail = (message: string): PolicyResult => ({
    ok: false,
    problems: [{ file: directory, line: 1, column: 1, message }],
  })
  let entries: readonly Dirent[]
  try {
    entries = await readdir(directory, { withFileTypes: true })
    if (isForeign(await stat(directory))) return fail(`${foreign}: chmod o-w`)
  } catch (cause) {
    return fail(
      `the policy directory can't be read (${codeOf(cause)}); create it, or mend policyDir`,
    )
  }
  // Hidden files are editors' and mounts' own; anything else that looks like YAML was meant to count.
  const names = entries
    .map(({ name }) => name)
    .filter((name) => /\.ya?ml$/i.test(name) && !name.startsWith('.'))
  const files: Record<string, Uint8Array> = {}
  const problems: Problem[] = []
  for (const name of names) {
    const read = fileName.test(name)
      ? await readPolicyFile(join(directory, name))
      : `is not read by this name: call it NAME.yaml, of letters, digits, ".", "_" and "-"`
    if (typeof read !== 'string') files[name] = read
    else problems.push({ file: name, line: 1, column: 1, message: read })
  }
  const result = parsePolicy(files, options)
  if (problems.length === 0) return result
  return { ok: false, problems: sortProblems([...problems, ...(result.ok ? [] : result.problems)]) }
}

/** The bytes, or what is wrong. Links are followed: a mounted directory is often made of them. */
const readPolicyFile = async (path: string): Promise<Uint8Array | string> => {
  try {
    const found = await stat(path)
    if (!found.isFile()) return 'is not a file; move it away'
    if (found.size > maxFileBytes) return 'the file is larger than 1 MiB; split it'
    if (isForeign(found)) return `${foreign}: chmod o-w`
    return await readFile(path)
  } catch (cause) {
    return `can't be read (${codeOf(cause)})`
  }
}

const foreign = 'anyone on this machine may write here, and so grant themselves anything'

const isForeign = ({ mode }: Stats): boolean => (mode & 0o002) !== 0

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'

/** An entry of a file: what it says, and where. */
interface Entry<T> {
  readonly shape: T
  readonly yaml: YamlFile
  readonly path: Path
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
  const problems: Problem[] = []
  const identities = new Map<string, readonly WhoShape[]>()
  const named: Entry<readonly WhoShape[]>[] = []
  const rules: Entry<RuleShape>[] = []
  const tests: Entry<TestShape>[] = []
  const place = ({ yaml, path }: Entry<unknown>, finding: Finding): Problem => ({
    file: yaml.file,
    ...yaml.locate([...path, ...finding.path]),
    message: `${describeKey(finding.path)}${finding.message}`,
  })

  for (const name of names) {
    const parsed = parseYaml(name, files[name] as Uint8Array)
    if (!parsed.ok) {
      problems.push(...parsed.problems)
      continue
    }
    const { yaml } = parsed
    // An empty file, or one of comments only, is no mistake: it says nothing.
    const file = fileShape.safeParse(yaml.value ?? {})
    if (!file.success) problems.push(...explain(yaml, file.error, []))
    const entries = listEntries(yaml.value)
    const read = <T>(schema: z.ZodType<T>, value: unknown, path: Path, into: Entry<T>[]): void => {
      const result = schema.safeParse(value)
      if (result.success) into.push({ shape: result.data, yaml, path })
      else problems.push(...explain(yaml, result.error, path))
    }
    for (const [key, value] of entries.identities) {
      const path = ['identities', key]
      const message = !isRuleName(key)
        ? 'identities are named with lower-case letters, digits and hyphens, at most 64'
        : identities.has(key)
          ? `the name ${key} stands for other identities already; choose another`
          : undefined
      if (message !== undefined) problems.push({ file: name, ...yaml.locateKey(path), message })
      // Known by name even where it is wrong, so that the rules that name it are not blamed.
      identities.set(key, [])
      read(entryShapes.identities, value, path, named)
    }
    for (const [at, value] of entries.rules.entries()) {
      read<RuleShape>(entryShapes.rules, value, ['rules', at], rules)
    }
    for (const [at, value] of entries.tests.entries()) {
      read<TestShape>(entryShapes.tests, value, ['tests', at], tests)
    }
  }
  for (const { shape, path } of named) identities.set(String(path[1]), shape)

  const places = new Map<string, RuleRef>()
  for (const entry of rules) {
    const { yaml, path, shape } = entry
    const known = places.get(shape.name)
    if (known !== undefined) {
      const message = `is the name of the rule at ${known.file}:${known.line} already; choose another`
      problems.push(place(entry, { path: ['name'], message }))
    } else {
      places.set(shape.name, { name: shape.name, file: yaml.file, line: yaml.locate(path).line })
    }
    const findings = listFindings(shape, { identities, maxTtlSeconds })
    problems.push(...findings.map((finding) => place(entry, finding)))
  }
  if (problems.length > 0) return { ok: false, problems: sortProblems(problems) }

  const sets = new Map([...identities].map(([name, shapes]) => [name, createEntrySet(shapes)]))
  const evaluator = createEvaluator(
    rules.map(({ shape }) => createRule(shape, places.get(shape.name) as RuleRef, sets)),
    maxTtlSeconds,
  )
  const ruleNames = new Set(places.keys())
  const failures = tests.flatMap((entry) =>
    runTest(entry.shape, evaluator, ruleNames).map((finding) =>
      // A test's own message names it; the key would only be in the way.
      ({ ...place(entry, finding), message: finding.message }),
    ),
  )
  if (failures.length > 0) return { ok: false, problems: sortProblems(failures) }

  const cautions = [
    ...rules.flatMap((entry) => listCautions(entry.shape).map((finding) => place(entry, finding))),
    ...named.flatMap((entry) =>
      listStars('', entry.shape).map(({ path, message }) =>
        place(entry, { path: path.slice(1), message }),
      ),
    ),
  ]
  const texts = names.map(
    (name) => [name, Buffer.from(files[name] as Uint8Array).toString('utf8')] as const,
  )
  const policy: Policy = Object.freeze({
    sha256: encodeHex(sha256(encodeUtf8(formatCanonical(texts)))),
    files: Object.freeze(Object.fromEntries(texts)),
    ruleCount: rules.length,
    listQuestions: evaluator.listQuestions,
    evaluate: evaluator.evaluate,
  })
  return { ok: true, policy, warnings: rules.length > 0 ? sortProblems(cautions) : [nothing] }
}

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

const sortProblems = (problems: readonly Problem[]): readonly Problem[] =>
  [...problems].sort(
    (a, b) => compareBytes(a.file, b.file) || a.line - b.line || a.column - b.column,
  )
