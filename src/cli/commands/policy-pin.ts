import { access, readdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { openLookups } from '../../app/lookup.ts'
import { AppError } from '../../errors.ts'
import { encodeUtf8 } from '../../lib/bytes.ts'
import { formatProblem } from '../../lib/yaml.ts'
import { parsePolicy } from '../../policy/parse.ts'
import { type Named, type Pinned, pinFiles } from '../../policy/pin.ts'
import { type Command, jsonOption } from '../command.ts'
import { count, findPolicy, type PolicyPlace } from '../policies.ts'
import { formatSchemaLine } from './schemas.ts'

export const policyPin: Command = {
  name: 'policy pin',
  summary: "write GitHub's ids beside logins, organisations and teams, whose names can be taken",
  argument: { name: '[dir]', summary: 'a directory of policy files (default: policyDir)' },
  options: [
    { flags: '--dry-run', summary: 'show what would be written, and write nothing' },
    jsonOption,
  ],
  examples: ['postern policy pin --dry-run', 'postern policy pin policies --json'],
  async run(context, argument, { dryRun, json }) {
    const { output, env } = context
    const place = await findPolicy(context, argument)
    const files = await readFiles(place.dir)
    const pinned = await lookUp(files, place, env['POSTERN_TOKEN_FILE'])
    const texts = await addSchemaLines(pinned.texts, place)
    checkMeaning(files, texts)
    if (dryRun !== true) {
      for (const [name, text] of Object.entries(texts))
        await replaceFile(join(place.dir, name), text)
    }
    const { pins, problems } = pinned
    if (json === true) {
      output.json({ ok: problems.length === 0, written: dryRun !== true, pins, problems })
      return problems.length === 0 ? 0 : 1
    }
    for (const { file, line, name, key, id } of pins) {
      output.line(`${file}:${line}: ${name}: ${key}: "${id}"`)
    }
    for (const problem of problems) output.warning(formatProblem(problem))
    const [done, where] = [count(pins.length, 'id'), count(Object.keys(texts).length, 'file')]
    output.line(
      pins.length === 0
        ? 'nothing to write'
        : `${dryRun === true ? 'would write' : 'wrote'} ${done} into ${where}`,
    )
    if (problems.length === 0) return 0
    throw new AppError('invalid_policy', `${count(problems.length, 'name')} could not be pinned.`, {
      hint: 'teams, and what is not public, need POSTERN_TOKEN_FILE: a file with a GitHub token that has read:org',
    })
  },
}

type Texts = Readonly<Record<string, string>>

const readFiles = async (dir: string): Promise<Texts> => {
  try {
    const names = (await readdir(dir)).filter((name) => /^[^.].*\.yaml$/.test(name)).sort()
    const texts = names.map(
      async (name) => [name, await readFile(join(dir, name), 'utf8')] as const,
    )
    return Object.fromEntries(await Promise.all(texts))
  } catch (cause) {
    throw new AppError('invalid_policy', 'The policy directory cannot be read.', {
      hint: `ls -ld ${dir}`,
      cause,
    })
  }
}

const lookUp = async (
  files: Texts,
  { config }: PolicyPlace,
  tokenFile: string | undefined,
): Promise<Pinned> => {
  // Asked once for nobody: only then is it known which servers there are to ask.
  const servers = new Set<string>()
  await pinFiles(files, async ({ server }) => {
    servers.add(server)
    return undefined
  })
  const findLookup = await openLookups({ servers: [...servers], config, tokenFile })
  const find = ({ kind, server, name }: Named) => {
    const lookup = findLookup(server)
    if (kind === 'user') return lookup.findUser(name)
    const [org = '', slug = ''] = name.split('/')
    return kind === 'org' ? lookup.findOrg(org) : lookup.findTeam(org, slug)
  }
  try {
    return await pinFiles(files, find)
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'idp_unavailable') throw cause
    const { detail, retryAfter } = cause
    throw new AppError('idp_unavailable', 'GitHub does not answer: try again in a moment.', {
      ...(detail === undefined ? {} : { detail }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
      cause,
    })
  }
}

/** Files that change get the line by which an editor knows them, where there is a schema to name. */
const addSchemaLines = async (texts: Texts, { dir, config }: PolicyPlace): Promise<Texts> => {
  const isBeside = await access(join(dir, '../schemas/policy.json')).then(
    () => true,
    () => false,
  )
  const schema = (name: string) => {
    const file = name.endsWith('.test.yaml') ? 'policy-test.json' : 'policy.json'
    if (isBeside) return `../schemas/${file}`
    return config === undefined ? undefined : `${config.publicUrl}/schemas/${file}`
  }
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      const known = schema(name)
      const isNamed = known === undefined || /^# yaml-language-server:/m.test(text)
      return [name, isNamed ? text : `${formatSchemaLine(known)}\n${text}`]
    }),
  )
}

/** A policy that loads must load with its ids, and pass its tests: otherwise nothing is written. */
const checkMeaning = (files: Texts, texts: Texts): void => {
  const parse = (all: Texts) =>
    parsePolicy(
      Object.fromEntries(Object.entries(all).map(([name, text]) => [name, encodeUtf8(text)])),
    )
  if (!parse(files).ok) return
  const after = parse({ ...files, ...texts })
  if (after.ok) return
  throw new AppError('invalid_policy', after.problems.map(formatProblem).join('\n'), {
    detail: 'with the ids the policy would no longer load, so nothing was written',
    hint: 'pin what the lines above name by hand',
  })
}

/** In one step: whoever watches the directory never sees half a file. A link stays a link. */
const replaceFile = async (path: string, text: string): Promise<void> => {
  const target = await realpath(path)
  const { mode } = await stat(target)
  const draft = join(dirname(target), `.${basename(target)}.${process.pid}`)
  await writeFile(draft, text, { mode: mode & 0o777, flag: 'wx' })
  await rename(draft, target)
}
