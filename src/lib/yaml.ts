import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { maxDepth, type Path, readNodes } from './yaml-nodes.ts'
import { explainYaml, listUnclosed } from './yaml-words.ts'

export type { Path }

/** Something wrong in a file, where, and what to write instead. */
export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  readonly message: string
}

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
    // Tags are refused below; resolving `!!omap` first would take seconds for a long one.
    resolveKnownTags: false,
    // Checked below: the parser compares each key with each other, which takes minutes for many.
    uniqueKeys: false,
    strict: true,
    prettyErrors: false,
    // Not `silent`: that would also silence the error for a second document.
    logLevel: 'error',
  })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  // By what they say: the parser's own checks and ours may find the same.
  const reported = new Map<string, Problem>()
  const report = (offset: number, message: string) => {
    const problem = { file, ...at(offset), message }
    reported.set(formatProblem(problem), problem)
  }
  const found = [...document.errors, ...document.warnings]
  // The parser says this once for every level it gave up at.
  const exhausted = found.find(({ code }) => code === 'RESOURCE_EXHAUSTION')
  const unclosed = found.length === 0 || exhausted !== undefined ? [] : listUnclosed(document, text)
  for (const { offset, message } of unclosed) report(offset, message)
  for (const { pos, message, code } of exhausted === undefined ? found : [exhausted]) {
    // Behind something unclosed all the rest is read amiss: its place is what helps.
    if (unclosed.length === 0) report(pos[0], explainYaml(code, message))
  }
  // `%YAML 1.1` would bring back other scalars, `%TAG` other tags.
  const { yaml, tags } = document.directives ?? {}
  if (yaml?.explicit === true || Object.keys(tags ?? {}).some((name) => name !== '!!')) {
    report(0, 'directives ("%YAML", "%TAG") are not read; leave the line out')
  }
  const { value, findOffset, findKeyOffset } = readNodes(document, report)
  if (reported.size > 0) {
    const problems = [...reported.values()]
    return { ok: false, problems: problems.sort((a, b) => a.line - b.line || a.column - b.column) }
  }
  return {
    ok: true,
    yaml: {
      file,
      value,
      locate: (path) => at(findOffset(path)),
      locateKey: (path) => at(findKeyOffset(path)),
    },
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

/**
 * The problems a zod schema finds in a file, each at its place: unknown keys at the key itself,
 * also those lib/shape.ts reports (custom issues with the parameter `atKey`).
 */
export const listProblems = (
  yaml: YamlFile,
  error: Pick<z.ZodError, 'issues'>,
): readonly Problem[] =>
  error.issues.flatMap((issue) => {
    const path = issue.path as Path
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        file: yaml.file,
        ...yaml.locateKey([...path, key]),
        message: `unknown key "${key}"`,
      }))
    }
    const isAtKey = issue.code === 'custom' && issue.params?.['atKey'] === true
    const place = isAtKey ? yaml.locateKey(path) : yaml.locate(path)
    return [{ file: yaml.file, ...place, message: issue.message }]
  })
