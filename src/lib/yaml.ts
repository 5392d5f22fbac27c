import type { Document, Node } from 'yaml'
import { isAlias, isMap, isNode, isPair, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import type { z } from 'zod'

/** Something wrong in a file, where, and what to write instead. */
export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  readonly message: string
}

export type Path = readonly (string | number)[]

/** A parsed YAML file: plain data, and where each part of it stands. */
export interface YamlFile {
  readonly file: string
  readonly value: unknown
  /** The place of a value; of the nearest enclosing one where there is none at that path. */
  locate(path: Path): { readonly line: number; readonly column: number }
  /** The place of a key of a map; the map's where it has no such key. */
  locateKey(path: Path): { readonly line: number; readonly column: number }
}

export type YamlResult =
  | { readonly ok: true; readonly yaml: YamlFile }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const maxBytes = 1024 * 1024
const maxNodes = 200_000
const maxDepth = 32

export const formatProblem = ({ file, line, column, message }: Problem): string =>
  `${file}:${line}:${column}: ${message}`

/**
 * Reads one YAML 1.2 document as plain data: maps, lists, strings, booleans and numbers. Everything
 * by which a file could mean more than it shows is an error: anchors, aliases, merge keys, tags,
 * duplicate or non-string keys, a second document, a byte order mark, tabs, invalid UTF-8.
 */
export const parseYaml = (file: string, bytes: Uint8Array): YamlResult => {
  const fail = (message: string, line = 1, column = 1): YamlResult => ({
    ok: false,
    problems: [{ file, line, column, message }],
  })
  if (bytes.length > maxBytes) return fail('the file is larger than 1 MiB; split it')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail('the file is not UTF-8; save it as UTF-8')
  }
  if (text.startsWith('\ufeff'))
    return fail('the file starts with a byte order mark; save it without')
  if (/\r(?!\n)/.test(text)) return fail('the file has bare carriage returns; use line feeds')
  const deep = findDeep(text)
  if (deep !== undefined)
    return fail(`nested deeper than ${maxDepth} levels`, deep.line, deep.column)

  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: true,
    strict: true,
    prettyErrors: false,
    logLevel: 'silent',
  })
  const problems: Problem[] = []
  const report = (offset: number, message: string) => {
    const { line, col } = lines.linePos(offset)
    problems.push({ file, line: Math.max(line, 1), column: Math.max(col, 1), message })
  }
  for (const { pos, message, code } of [...document.errors, ...document.warnings]) {
    report(pos[0], explain(code, message))
  }
  checkNodes(document, report)
  if (problems.length > 0) {
    problems.sort((a, b) => a.line - b.line || a.column - b.column)
    return { ok: false, problems }
  }
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  return {
    ok: true,
    yaml: {
      file,
      value: document.toJS({ maxAliasCount: 0 }) as unknown,
      locate: (path) => at(findNode(document, path)?.range?.[0] ?? 0),
      locateKey: (path) => at(findKey(document, path)?.range?.[0] ?? 0),
    },
  }
}

const explain = (code: string, message: string): string => {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'the key stands here twice; keep one'
    case 'MULTIPLE_DOCS':
      return 'the file holds several documents; keep one, without "---"'
    case 'TAB_AS_INDENT':
      return 'a tab indents this line; use spaces'
    default:
      return message.split('\n')[0] as string
  }
}

/** Bounds what the recursive parser will meet: flow brackets and columns of indentation, in one pass. */
const findDeep = (text: string): { line: number; column: number } | undefined => {
  let line = 0
  for (const row of text.split('\n')) {
    line++
    let flow = 0
    for (let at = 0; at < row.length; at++) {
      const char = row[at]
      if (char === '[' || char === '{') flow++
      else if (char === ']' || char === '}') flow = Math.max(0, flow - 1)
      if (flow > maxDepth) return { line, column: at + 1 }
    }
    const lead = /^(?: |- )*/.exec(row)?.[0].length ?? 0
    if (lead > maxDepth * 8) return { line, column: lead + 1 }
  }
  return undefined
}

const checkNodes = (
  document: Document,
  report: (offset: number, message: string) => void,
): void => {
  let nodes = 0
  visit(document, (_key, node, path) => {
    if (++nodes > maxNodes) {
      report(0, `the file has more than ${maxNodes} values; split it`)
      return visit.BREAK
    }
    if (path.length > maxDepth * 3) {
      report(0, `nested deeper than ${maxDepth} levels`)
      return visit.BREAK
    }
    if (isPair(node)) {
      const key = node.key
      const offset = isNode(key) ? (key.range?.[0] ?? 0) : 0
      if (isScalar(key) && key.value === '<<') {
        report(offset, 'merge keys are not read; write the values out')
      } else if (!isScalar(key) || typeof key.value !== 'string') {
        report(offset, 'a key must be a string; put it in quotes')
      } else if (['__proto__', 'constructor', 'prototype'].includes(key.value)) {
        report(offset, `"${key.value}" is no key of ours`)
      }
      return undefined
    }
    if (!isNode(node)) return undefined
    const offset = node.range?.[0] ?? 0
    if (isAlias(node)) report(offset, 'aliases are not read; write the value out')
    else if (node.anchor !== undefined) report(offset, 'anchors are not read; write the value out')
    if (node.tag !== undefined && !isPlain(node)) report(offset, 'tags are not read; leave it out')
    return undefined
  })
}

/** The parser gives untagged scalars no tag, but explicit ones theirs, also the standard `!!str`. */
const isPlain = (node: Node): boolean => node.tag === undefined

const findNode = (document: Document, path: Path): Node | undefined => {
  let node: unknown = document.contents
  for (const step of path) {
    const next: unknown = isNode(node) && 'get' in node ? node.get(step, true) : undefined
    if (!isNode(next)) break
    node = next
  }
  return isNode(node) ? node : undefined
}

const findKey = (document: Document, path: Path): Node | undefined => {
  const parent = findNode(document, path.slice(0, -1))
  const name = path.at(-1)
  if (isMap(parent)) {
    for (const { key } of parent.items) if (isScalar(key) && key.value === name) return key
  }
  return parent
}

/** The problems a zod schema finds in a file, each at its place: unknown keys at the key itself. */
export const listProblems = (yaml: YamlFile, error: z.ZodError): readonly Problem[] =>
  error.issues.flatMap((issue) => {
    const path = issue.path as Path
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        file: yaml.file,
        ...yaml.locateKey([...path, key]),
        message: `unknown key "${key}"`,
      }))
    }
    return [{ file: yaml.file, ...yaml.locate(path), message: issue.message }]
  })
