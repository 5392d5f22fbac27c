import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml'
import { encodeUtf8 } from '../lib/bytes.ts'
import { type Problem, parseYaml } from '../lib/yaml.ts'

// Names on GitHub can be given up and taken by others; ids stay. Ids are written into the text of a file
// beside the names they belong to, and every other character stays where it is.

/** A name on a GitHub server, in lower case but for a user's. */
export interface Named {
  readonly kind: 'user' | 'org' | 'team'
  readonly server: string
  /** A login, or `org/slug` of a team. */
  readonly name: string
}

/** The id that a name has today; undefined where there is nobody of that name, or none that we may see. */
export type FindId = (named: Named) => Promise<string | undefined>

/** An id that was written beside a name. */
export interface Pin {
  readonly file: string
  readonly line: number
  readonly name: string
  readonly key: 'id' | 'orgId' | 'teamId'
  readonly id: string
}

export interface Pinned {
  /** The new texts of the files that change. */
  readonly texts: Readonly<Record<string, string>>
  readonly pins: readonly Pin[]
  /** Names that nobody has, and ids that are not those of their names. */
  readonly problems: readonly Problem[]
}

/**
 * Writes ids beside logins, organisations and teams, and into the tests that name the same, which
 * would fail without. What has an id already is compared and never changed.
 */
export const pinFiles = async (
  files: Readonly<Record<string, string>>,
  findId: FindId,
): Promise<Pinned> => {
  const known = new Map<string, Promise<string | undefined>>()
  const find: FindId = (named) => {
    const key = formatNamed(named)
    const found = known.get(key) ?? findId(named)
    known.set(key, found)
    return found
  }
  const sheets = Object.entries(files).map(([file, text]) => openSheet(file, text))
  for (const sheet of sheets) for (const map of sheet.entries) await pinEntry(sheet, map, find)
  for (const sheet of sheets) {
    for (const map of sheet.people) {
      // Only what a rule names: nothing else is compared with an id.
      await pinPerson(sheet, map, async (named) => known.get(formatNamed(named)))
    }
  }
  const changed = sheets.filter(({ edits }) => edits.length > 0)
  return {
    texts: Object.fromEntries(changed.map((sheet) => [sheet.file, applyEdits(sheet)])),
    pins: sheets.flatMap(({ pins }) => pins),
    problems: sheets.flatMap(({ problems }) => problems),
  }
}

const formatNamed = ({ kind, server, name }: Named): string => `${kind} ${server} ${name}`

interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** A file while ids are written into it. */
interface Sheet {
  readonly file: string
  readonly text: string
  /** The maps under `github` in `who` and wherever else people are named. */
  readonly entries: readonly YAMLMap[]
  /** Those of the people in tests. */
  readonly people: readonly YAMLMap[]
  readonly lineOf: (offset: number) => { readonly line: number; readonly column: number }
  readonly edits: Edit[]
  readonly pins: Pin[]
  readonly problems: Problem[]
}

const openSheet = (file: string, text: string): Sheet => {
  const parsed = parseYaml(file, encodeUtf8(text))
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, version: '1.2', schema: 'core' })
  const entries: YAMLMap[] = []
  const people: YAMLMap[] = []
  if (parsed.ok) {
    visit(document, {
      Pair(_, pair, path) {
        if (!isKey(pair, 'github') || !isMap(pair.value)) return undefined
        // Identities may have that name too.
        const section = path.find(isPair)
        const isTest = section !== undefined && isKey(section, 'tests')
        ;(isTest ? people : entries).push(pair.value)
        return undefined
      },
    })
  }
  const lineOf = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const problems = parsed.ok ? [] : [...parsed.problems]
  return { file, text, entries, people, lineOf, edits: [], pins: [], problems }
}

const isKey = (pair: Pair<unknown, unknown>, key: string): boolean =>
  isScalar(pair.key) && pair.key.value === key

const findText = (map: YAMLMap, key: string): string | undefined => {
  const value: unknown = map.get(key)
  return typeof value === 'string' ? value : undefined
}

const findServer = (map: YAMLMap): string => findText(map, 'server') ?? 'github.com'

const pinEntry = async (sheet: Sheet, map: YAMLMap, find: FindId): Promise<void> => {
  const server = findServer(map)
  const login = findText(map, 'login')
  const org = findText(map, 'org')?.toLowerCase()
  const team = findText(map, 'team')?.toLowerCase()
  if (login !== undefined) {
    await pin(sheet, map, 'login', 'id', { kind: 'user', server, name: login }, find)
  }
  if (team !== undefined) await pinTeam(sheet, map, { server, team }, find)
  else if (org !== undefined) {
    await pin(sheet, map, 'org', 'orgId', { kind: 'org', server, name: org }, find)
  }
}

const pinTeam = async (
  sheet: Sheet,
  map: YAMLMap,
  { server, team }: { readonly server: string; readonly team: string },
  find: FindId,
): Promise<void> => {
  const [org = ''] = team.split('/')
  await pin(sheet, map, 'team', 'teamId', { kind: 'team', server, name: team }, find)
  await pin(sheet, map, 'team', 'orgId', { kind: 'org', server, name: org }, find)
}

const pin = async (
  sheet: Sheet,
  map: YAMLMap,
  beside: string,
  key: Pin['key'],
  named: Named,
  find: FindId,
): Promise<void> => {
  const pair = map.items.find((item) => isKey(item, beside))
  if (!isScalar(pair?.key) || !isScalar(pair?.value)) return
  const { file } = sheet
  const offset = pair.value.range?.[0] ?? 0
  const id = await find(named)
  const words = `${named.kind === 'user' ? 'login' : named.kind} ${named.name}`
  if (id === undefined) {
    const message = `there is no ${words} on ${named.server}, or none that may be seen`
    sheet.problems.push({ file, ...sheet.lineOf(offset), message })
    return
  }
  const old: unknown = map.get(key)
  if (old !== undefined) {
    if (old === id) return
    const message = `the ${words} has the id ${id} today, and ${key} here is ${String(old)}: the name has changed hands, or the id is wrong`
    sheet.problems.push({ file, ...sheet.lineOf(offset), message })
    return
  }
  const start = pair.key.range?.[0] ?? 0
  const { line, column } = sheet.lineOf(start)
  const text = `${key}: "${id}"`
  // A line of its own above: what stands behind the name, a comment too, stays behind it.
  if (map.flow === true) insert(sheet, pair.value.range?.[1] ?? 0, `, ${text}`)
  else insert(sheet, start, `${text}\n${' '.repeat(column - 1)}`)
  sheet.pins.push({ file, line, name: named.name, key, id })
}

const insert = (sheet: Sheet, at: number, text: string): void => {
  sheet.edits.push({ from: at, to: at, text })
}

/** A person of a test, whose memberships must have the ids that rules now ask for. */
const pinPerson = async (sheet: Sheet, map: YAMLMap, find: FindId): Promise<void> => {
  const server = findServer(map)
  const list = (key: string) => {
    const items: unknown = map.get(key)
    return isSeq(items) ? items.items : []
  }
  for (const item of list('teams')) {
    if (isMap(item)) {
      const team = findText(item, 'team')?.toLowerCase() ?? ''
      const isNamed = (await find({ kind: 'team', server, name: team })) !== undefined
      if (isNamed) await pinTeam(sheet, item, { server, team }, find)
    } else if (isScalar(item) && typeof item.value === 'string') {
      const team = item.value.toLowerCase()
      const [org = ''] = team.split('/')
      const teamId = await find({ kind: 'team', server, name: team })
      const orgId = await find({ kind: 'org', server, name: org })
      const ids = [
        ...(teamId === undefined ? [] : [`teamId: "${teamId}"`]),
        ...(orgId === undefined ? [] : [`orgId: "${orgId}"`]),
      ]
      if (ids.length === 0) continue
      replace(sheet, item.range, `{ team: ${item.value}, ${ids.join(', ')} }`)
    }
  }
  for (const item of list('orgs')) {
    if (!isScalar(item) || typeof item.value !== 'string') continue
    const orgId = await find({ kind: 'org', server, name: item.value.toLowerCase() })
    if (orgId !== undefined) replace(sheet, item.range, `{ org: ${item.value}, orgId: "${orgId}" }`)
  }
}

const replace = (
  sheet: Sheet,
  range: readonly [number, number, number] | null | undefined,
  text: string,
): void => {
  if (range) sheet.edits.push({ from: range[0], to: range[1], text })
}

const applyEdits = ({ text, edits }: Sheet): string => {
  const parts: string[] = []
  let at = 0
  // Edits at one place stay in the order in which they were made.
  for (const edit of edits.toSorted((a, b) => a.from - b.from)) {
    parts.push(text.slice(at, edit.from), edit.text)
    at = edit.to
  }
  return `${parts.join('')}${text.slice(at)}`
}
