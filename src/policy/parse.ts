import { encodeHex, encodeUtf8, sha256 } from '../lib/bytes.ts'
import { formatCanonical } from '../lib/json.ts'
import type { Problem } from '../lib/yaml.ts'
import { createAliasFindings, resolveHost } from './aliases.ts'
import { createEntrySet, createRule, createWho } from './compile.ts'
import {
  listCautions,
  listFindings,
  listStars,
  listUnknown,
  listUnmetLabels,
  type Names,
} from './consistency.ts'
import { createEvaluator } from './evaluate.ts'
import { type Policy, proofRuleName, type Question, type Role, type RuleRef } from './index.ts'
import { createRoles } from './roles.ts'
import type { KnownHostShape } from './schema.ts'
import {
  type Entry,
  listNames,
  placeFinding,
  readSources,
  type Sources,
  sortProblems,
} from './sources.ts'
import { runTest } from './test.ts'
import type { WhoShape } from './who-schema.ts'

/** A policy that can be used, or everything that is wrong with it: all files, in order of place. */
export type PolicyResult =
  | {
      readonly ok: true
      readonly policy: Policy
      readonly warnings: readonly Problem[]
      /** What it was made of, for those who explain or compare policies. */
      readonly sources: Sources
      readonly names: Names
      /** The files' own tests, in the order of their files. */
      readonly tests: readonly TestResult[]
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export interface PolicyOptions {
  /** `ca.maxTtl` of the configuration, in seconds; where it is absent no rule's ttl is too long. */
  readonly maxTtlSeconds?: number
  /** Load also where the policy's own tests fail: for those who run the tests, never to decide by. */
  readonly isTrial?: true
}

/** One of the files' own tests: it passes where there are no problems. */
export interface TestResult {
  readonly name: string
  readonly file: string
  readonly line: number
  readonly problems: readonly Problem[]
  readonly question?: Question
}

/**
 * Files, by name, as one policy: parsed, checked each for itself and against each other, and then
 * asked by the files' own tests. Pure: the same files always give the same result.
 */
export const parsePolicy = (
  files: Readonly<Record<string, Uint8Array>>,
  { maxTtlSeconds = Number.POSITIVE_INFINITY, isTrial }: PolicyOptions = {},
): PolicyResult => {
  const sources = readSources(files)
  const { rules, tests } = sources
  const names = createNames(sources)
  const places = new Map<string, RuleRef>()
  for (const { shape, yaml, path } of rules) {
    if (places.has(shape.name)) continue
    places.set(shape.name, { name: shape.name, file: yaml.file, line: yaml.locate(path).line })
  }
  const problems = [
    ...sources.problems,
    ...listConflicts(sources, places, names),
    ...listAliased(sources, names),
    ...rules.flatMap((entry) =>
      listFindings(entry.shape, { ...names, maxTtlSeconds }).map((finding) =>
        placeFinding(entry, finding),
      ),
    ),
  ]
  if (problems.length > 0) return { ok: false, problems: sortProblems(problems) }

  const sets = new Map([...names.identities].map(([name, set]) => [name, createEntrySet(set)]))
  const definitions = { ...names, sets }
  const evaluator = createEvaluator(
    rules.map(({ shape }) => createRule(shape, places.get(shape.name) as RuleRef, definitions)),
  )
  const ruleNames = new Set(places.keys())
  const results = tests.map((entry): TestResult => {
    const host = resolveHost(names.hosts, entry.shape.ask.host)
    const asked = { ...entry.shape, ask: { ...entry.shape.ask, host } }
    const { findings, ...run } = runTest(asked, evaluator, ruleNames)
    // A test is known by its name; the key would only be in the way.
    const problems = findings.map((finding) => ({
      ...placeFinding(entry, finding),
      message: finding.message,
    }))
    const { file } = entry.yaml
    return {
      name: entry.shape.name,
      file,
      line: entry.yaml.locate(entry.path).line,
      problems,
      ...run,
    }
  })
  const failures = results.flatMap(({ name, problems }) =>
    problems.map((problem) => ({ ...problem, message: `test "${name}": ${problem.message}` })),
  )
  if (failures.length > 0 && isTrial !== true) {
    return { ok: false, problems: sortProblems(failures) }
  }

  const texts = listNames(files).map(
    (name) => [name, Buffer.from(files[name] as Uint8Array).toString('utf8')] as const,
  )
  const roles = new Map(
    [...joinRoles(sources)].map(([role, shapes]) => [role, createWho(shapes, sets)]),
  )
  const policy: Policy = Object.freeze({
    sha256: encodeHex(sha256(encodeUtf8(formatCanonical(texts)))),
    files: Object.freeze(Object.fromEntries(texts)),
    ruleCount: rules.length,
    rules: evaluator.rules,
    hosts: names.hosts,
    listQuestions: evaluator.listQuestions,
    evaluate: evaluator.evaluate,
    createExaminer: evaluator.createExaminer,
    ...createRoles(roles),
  })
  const warnings = rules.length > 0 ? sortProblems(listWarnings(sources, names)) : [nothing]
  return { ok: true, policy, warnings, sources, names, tests: results }
}

/** What the files define by name. A name whose entry is wrong is known all the same. */
const createNames = (sources: Sources): Names => ({
  identities: new Map([
    ...[...sources.identityNames].map((name) => [name, []] as const),
    ...sources.identities.map(({ name, shape }) => [name, shape] as const),
  ]),
  hostGroups: new Map([
    ...[...sources.hostGroupNames].map((name) => [name, []] as const),
    ...sources.hostGroups.map(({ name, shape }) => [name, shape] as const),
  ]),
  hosts: Object.freeze(
    sources.hosts.map(({ shape: { address, port, ...shape } }) =>
      Object.freeze({
        name: shape.name,
        labels: Object.freeze({ ...shape.labels }),
        aliases: Object.freeze([...(shape.aliases ?? [])]),
        ...(address === undefined ? {} : { address }),
        ...(port === undefined ? {} : { port }),
        logins: Object.freeze([...(shape.logins ?? [])]),
        hostKeys: Object.freeze([...(shape.hostKeys ?? [])]),
      }),
    ),
  ),
})

/** Names that stand for two things, and roles that name nobody's identities. */
const listConflicts = (
  { rules, hosts, roles }: Sources,
  places: ReadonlyMap<string, RuleRef>,
  { identities }: Names,
): readonly Problem[] => [
  ...listDoubles(rules).map(({ entry, first }) => {
    const { file, line } = places.get(first.shape.name) as RuleRef
    const message = `is the name of the rule at ${file}:${line} already; choose another`
    return placeFinding(entry, { path: ['name'], message })
  }),
  ...rules
    .filter(({ shape }) => shape.name === proofRuleName)
    .map((entry) =>
      placeFinding(entry, {
        path: ['name'],
        message: 'is the name of the rule by which hosts enrol; choose another',
      }),
    ),
  ...listTakenNames(hosts),
  ...roles.flatMap((entry) =>
    roleNames.flatMap((role) =>
      listUnknown(role, entry.shape[role] ?? [], identities).map((finding) =>
        placeFinding(entry, finding),
      ),
    ),
  ),
]

/** Hosts of rules and of groups that are named by an alias. */
const listAliased = ({ rules, hostGroups }: Sources, names: Names): readonly Problem[] => {
  const listFindings = createAliasFindings(names)
  return [
    ...rules.flatMap((entry) =>
      listFindings(['hosts'], entry.shape.hosts, 'deny' in entry.shape).map((finding) =>
        placeFinding(entry, finding),
      ),
    ),
    ...hostGroups.flatMap((entry) =>
      listFindings([], entry.shape, false).map((finding) => placeFinding(entry, finding)),
    ),
  ]
}

/** Names and aliases of hosts that stand for another host already, or twice for the same. */
const listTakenNames = (hosts: readonly Entry<KnownHostShape>[]): readonly Problem[] => {
  const known = new Map<string, Entry<KnownHostShape>>()
  return hosts.flatMap((entry) =>
    [
      { name: entry.shape.name, path: ['name'] },
      ...(entry.shape.aliases ?? []).map((name, at) => ({ name, path: ['aliases', at] })),
    ].flatMap(({ name, path }) => {
      const first = known.get(name)
      if (first === undefined) known.set(name, entry)
      if (first === undefined) return []
      const { line } = first.yaml.locate(first.path)
      const message = `is the name of the host at ${first.yaml.file}:${line} already; keep one`
      return [placeFinding(entry, { path, message })]
    }),
  )
}

/** Entries whose name an earlier one has, with that one. */
const listDoubles = <T extends { readonly name: string }>(entries: readonly Entry<T>[]) => {
  const known = new Map<string, Entry<T>>()
  return entries.flatMap((entry) => {
    const first = known.get(entry.shape.name)
    if (first === undefined) known.set(entry.shape.name, entry)
    return first === undefined ? [] : [{ entry, first }]
  })
}

const roleNames = ['admin', 'auditor'] as const satisfies readonly Role[]

/** The roles of all the files together. */
const joinRoles = ({ roles }: Sources): ReadonlyMap<Role, readonly WhoShape[]> =>
  new Map(roleNames.map((role) => [role, roles.flatMap(({ shape }) => shape[role] ?? [])]))

const listWarnings = (sources: Sources, names: Names): readonly Problem[] => [
  ...sources.rules.flatMap((entry) =>
    listCautions(entry.shape, names).map((finding) => placeFinding(entry, finding)),
  ),
  ...listSharedKeys(sources.hosts),
  ...sources.identities.flatMap((entry) =>
    listStars([], entry.shape).map((finding) => placeFinding(entry, finding)),
  ),
  ...sources.hostGroups.flatMap((entry) =>
    listUnmetLabels([], entry.shape, names.hosts).map((finding) => placeFinding(entry, finding)),
  ),
]

/** A key that two hosts have: whoever holds the one can pose as the other. */
const listSharedKeys = (hosts: readonly Entry<KnownHostShape>[]): readonly Problem[] => {
  const known = new Map<string, Entry<KnownHostShape>>()
  return hosts.flatMap((entry) =>
    (entry.shape.hostKeys ?? []).flatMap((key, at) => {
      const first = known.get(key)
      if (first === undefined) known.set(key, entry)
      if (first === undefined || first === entry) return []
      const message = `is a key of ${first.shape.name} too, so each can pose as the other; make one of them new keys`
      return [placeFinding(entry, { path: ['hostKeys', at], message })]
    }),
  )
}

const nothing: Problem = {
  file: '*.yaml',
  line: 1,
  column: 1,
  message: 'there are no rules, so every request is refused; write one',
}
