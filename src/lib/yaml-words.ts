import { type Document, isCollection, isScalar, visit } from 'yaml'
import { aliasRefused, maxDepth, tagRefused } from './yaml-nodes.ts'

// What the parser finds, in words of ours that say what to write instead.

type Sentence = (found: RegExpExecArray) => string

const keyWords = 'a key stands on one line, a colon and a space behind it, as "ttl: 5m"'
const commaWords = 'in [ ] and { } a comma stands between entries; write it'

const byCode: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'the file holds several documents; keep one, without "---"',
  TAB_AS_INDENT: 'a tab indents this line; use spaces',
  TAG_RESOLVE_FAILED: tagRefused,
  BAD_ALIAS: aliasRefused,
  RESOURCE_EXHAUSTION: `nested deeper than ${maxDepth} levels`,
}

/** By how the parser's sentence begins; one that is not here is shown as it is. */
const byMessage: readonly (readonly [RegExp, Sentence])[] = [
  [
    /^(Flow .* must .*end with a |Missing closing )(.)/,
    ([, , end]) => `${end} is missing; write it`,
  ],
  [/^Implicit (keys|map keys) need/, () => keyWords],
  [
    /^Nested mappings are not allowed/,
    () => 'no map can begin here; put text that holds ": " in quotes, or start a line of its own',
  ],
  [/^Unexpected block-seq-ind/, () => 'no list can begin here; start each "- " on its own line'],
  [
    /^All (mapping|sequence) items must start/,
    () => 'is indented unlike the lines beside it; start them in the same column',
  ],
  [
    /^Plain value cannot start with .*(.)$/,
    ([, start]) => `text cannot start with ${start} here; put it in quotes`,
  ],
  [/^Unexpected , in/, () => 'there is nothing before this comma; take it out'],
  [/^(Block collections are not allowed|Missing , )/, () => commaWords],
  [
    /^Unexpected flow-(seq|map)-end/,
    () => 'closes what was never opened; take it out, or put the text in quotes',
  ],
  [
    /^Unexpected .* at node end/,
    () => 'the value before this is whole already; put all of it in quotes, or start a line',
  ],
  [/^Block scalar header/, () => 'the text behind "|" or ">" starts on the next line'],
  [
    /^Invalid escape sequence (.+)$/,
    ([, letter]) => `${letter} means nothing in double quotes; use single ones`,
  ],
  [/^Comments must be separated/, () => 'a comment needs a space before its "#"'],
]

/** What the parser found, as a sentence that says what to write. */
export const explainYaml = (code: string, message: string): string => {
  const [first = ''] = message.split('\n')
  for (const [pattern, sentence] of byMessage) {
    const found = pattern.exec(first)
    if (found !== null) return sentence(found)
  }
  return byCode[code] ?? first
}

const enclosed = [
  { open: '[', close: ']', kind: 'list' },
  { open: '{', close: '}', kind: 'map' },
  { open: '"', close: '"', kind: 'text' },
  { open: "'", close: "'", kind: 'text' },
] as const

/**
 * Lists, maps and quotes that are never closed, at the place where they open: the parser names only the
 * place where it gave up, which may be lines below.
 */
export const listUnclosed = (
  document: Document,
  text: string,
): readonly { readonly offset: number; readonly message: string }[] => {
  const unclosed: { readonly offset: number; readonly message: string }[] = []
  visit(document, {
    Node(_, node) {
      const isEnclosed = isCollection(node)
        ? node.flow === true
        : isScalar(node) && /^QUOTE_/.test(node.type ?? '')
      if (!isEnclosed || !node.range) return
      const [start, end] = node.range
      // A map of one pair in a list has no brackets; a tag or an anchor may stand before some.
      const found = enclosed.find(({ open }) => open === text[start])
      if (found === undefined || (end - start > 1 && text[end - 1] === found.close)) return
      const { kind, close } = found
      const message = `the ${kind} that opens here is not closed; write its ${close}`
      unclosed.push({ offset: start, message })
    },
  })
  return unclosed
}
