import type { Path } from '../../lib/yaml.ts'
import { expandHosts } from '../compile.ts'
import { isReference, type Names } from '../consistency.ts'
import type { Policy } from '../index.ts'
import type { Rule } from '../rule.ts'
import type { RuleShape } from '../schema.ts'
import type { Entry, Sources } from '../sources.ts'
import type { WhoShape } from '../who-schema.ts'

export type Level = 'error' | 'warning'

/** Something a policy says that its author may not mean: where, what, and what to do about it. */
export interface Remark {
  readonly entry: Entry<unknown>
  /** Inside the entry. */
  readonly path: Path
  readonly level: Level
  /** Names the kind of remark, for programs. */
  readonly code: string
  readonly message: string
  readonly advice: string
}

/** One who: what is compared, without names of identities. */
export type Leaf = Exclude<WhoShape, { readonly identities: string }>

/** A rule as it is looked at here: each entry of its lists, and what it stands for. */
export interface Looked {
  readonly rule: Rule
  readonly entry: Entry<RuleShape>
  /** Of each entry of `who`. */
  readonly who: readonly (readonly Leaf[])[]
  /** Of each entry of `hosts`, as patterns. */
  readonly hosts: readonly (readonly string[])[]
}

/** What `policy check` knows beside the files. */
export interface Surroundings {
  readonly at: Date
  /** The providers of the configuration, where there is one. */
  readonly providers?: {
    readonly issuers: readonly string[]
    /** Host names, as `server` has them. */
    readonly servers: readonly string[]
  }
}

/** Everything the checks look at. */
export interface Ground extends Surroundings {
  readonly sources: Sources
  readonly names: Names
  /** In the order in which they are read: those that deny, then those that allow. */
  readonly rules: readonly Looked[]
  /** Every `who` entry that is written out anywhere. */
  readonly written: readonly Written[]
  /** The OIDC issuers that any of them names. */
  readonly issuers: readonly string[]
}

export const createGround = (
  loaded: { readonly policy: Policy; readonly sources: Sources; readonly names: Names },
  surroundings: Surroundings,
): Ground => {
  const { policy, sources, names } = loaded
  const entries = new Map(sources.rules.map((entry) => [entry.shape, entry]))
  const written = listWritten(sources)
  const issuers = written.flatMap(({ leaf }) =>
    leaf !== 'everyone' && 'oidc' in leaf ? [leaf.oidc.issuer] : [],
  )
  return {
    ...surroundings,
    sources,
    names,
    written,
    issuers: [...new Set(issuers)],
    rules: policy.rules.flatMap((rule) => {
      const entry = entries.get(rule.shape)
      if (entry === undefined) return []
      return {
        rule,
        entry,
        who: rule.shape.who.map((shape) => listLeaves([shape], names)),
        hosts: rule.shape.hosts.map((shape) => expandHosts([shape], names)),
      }
    }),
  }
}

/** The entries of a `who`, with identities taken apart. */
export const listLeaves = (shapes: readonly WhoShape[], names: Names): readonly Leaf[] =>
  shapes.flatMap((shape) =>
    isReference(shape) ? listLeaves(names.identities.get(shape.identities) ?? [], names) : [shape],
  )

/** A `who` entry that is written out, at its place. */
export interface Written {
  readonly entry: Entry<unknown>
  readonly path: Path
  readonly leaf: Leaf
}

const listWritten = (sources: Sources): readonly Written[] => {
  const list = (entry: Entry<unknown>, under: Path, shapes: readonly WhoShape[] = []) =>
    shapes.flatMap((leaf, at) => (isReference(leaf) ? [] : [{ entry, path: [...under, at], leaf }]))
  return [
    ...sources.identities.flatMap((entry) => list(entry, [], entry.shape)),
    ...sources.roles.flatMap((entry) => [
      ...list(entry, ['admin'], entry.shape.admin),
      ...list(entry, ['auditor'], entry.shape.auditor),
    ]),
    ...sources.rules.flatMap((entry) => [
      ...list(entry, ['who'], entry.shape.who),
      ...('except' in entry.shape ? list(entry, ['except'], entry.shape.except) : []),
    ]),
  ]
}

export const place = ({ ref }: Rule): string => `${ref.name} (${ref.file}:${ref.line})`
