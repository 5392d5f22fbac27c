import { resolve } from 'node:path'
import { AppError } from '../../errors.ts'
import { diffPolicies, type PolicyDiff } from '../../policy/diff.ts'
import { formatChange } from '../../policy/diff-words.ts'
import { loadPolicy, parseNamed } from '../../policy/load.ts'
import { type Command, type Context, jsonOption } from '../command.ts'
import { openCommit } from '../git.ts'
import {
  checkLoaded,
  findPolicy,
  isConfigured,
  type Loaded,
  type PolicyPlace,
} from '../policies.ts'

/** 0 is for no change at all; 1 and 2 stay for failures, so that none is taken for a harmless change. */
const exitCodes = { wider: 3, narrower: 4 } as const

export const policyDiff: Command = {
  name: 'policy diff',
  summary:
    'say who gains and who loses what: exits 0 if nobody, 3 if anything widens, 4 if all narrows',
  argument: { name: '[old]', summary: 'the directory as it was; with --git, the directory' },
  second: { name: '[new]', summary: 'the directory as it is to be (default: policyDir)' },
  options: [
    { flags: '--git <rev>', summary: 'compare with the directory as this commit has it' },
    jsonOption,
  ],
  examples: [
    'postern policy diff policies.old policies',
    'postern policy diff --git HEAD policies',
    'postern policy diff --git origin/main --json',
  ],
  async run(context, argument, { git, json }, second) {
    const { output } = context
    const [before, after] =
      typeof git === 'string'
        ? await loadCommit(context, git, argument, second)
        : await loadBoth(context, argument, second)
    const diff = diffPolicies(before, after)
    if (json === true) output.json(formatJson(diff, before, after))
    else if (diff.changes.length === 0 && diff.isWhole) output.line('Nothing changes for anybody.')
    for (const change of json === true ? [] : diff.changes) {
      output.line(`${signs[change.direction]} ${formatChange(change)}`)
    }
    if (!diff.isWhole) {
      output.warning('The patterns overlap in too many ways to look at all: there may be more.')
    }
    if (diff.widens) return exitCodes.wider
    return diff.changes.length === 0 ? 0 : exitCodes.narrower
  },
}

/** More, less, or something else than before. */
const signs = { wider: '+', narrower: '-', other: '~' } as const

const loadBoth = async (
  context: Context,
  old: string | undefined,
  now: string | undefined,
): Promise<readonly [Loaded, Loaded]> => {
  if (old === undefined) {
    throw new AppError('usage', 'Name the directory as it was.', {
      hint: 'postern policy diff OLD NEW, or postern policy diff --git HEAD',
    })
  }
  const place = await findNew(context, old, now)
  const was = resolve(context.cwd, old)
  const limit = limitOf(place)
  return [
    checkLoaded(await loadPolicy(was, limit), was),
    checkLoaded(await loadPolicy(place.dir, limit), place.dir),
  ]
}

/** Where no directory is named, and no configuration is there to name one, that is what is missing. */
const findNew = async (
  context: Context,
  old: string,
  now: string | undefined,
): Promise<PolicyPlace> => {
  try {
    return await findPolicy(context, now)
  } catch (cause) {
    const reason = cause instanceof AppError ? cause.cause : undefined
    const isAbsent = (reason as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
    if (now !== undefined || isConfigured(context) || !isAbsent) throw cause
    throw new AppError('usage', 'Name the directory as it is to be: no configuration here does.', {
      hint: `postern policy diff ${old} NEW, or postern policy diff --git HEAD ${old}`,
      cause,
    })
  }
}

const loadCommit = async (
  context: Context,
  revision: string,
  argument: string | undefined,
  second: string | undefined,
): Promise<readonly [Loaded, Loaded]> => {
  if (second !== undefined) {
    throw new AppError('usage', 'With --git there is one directory: as it was, and as it is.', {
      hint: `postern policy diff --git ${revision} ${second}`,
    })
  }
  const place = await findPolicy(context, argument)
  const limit = limitOf(place)
  const commit = await openCommit(place.dir, revision, context.env)
  return [
    checkLoaded(await parseNamed(commit.names, commit.read, limit), `${place.dir} at ${revision}`),
    checkLoaded(await loadPolicy(place.dir, limit), place.dir),
  ]
}

const limitOf = ({ maxTtlSeconds }: PolicyPlace) =>
  maxTtlSeconds === undefined ? {} : { maxTtlSeconds }

const formatJson = (diff: PolicyDiff, before: Loaded, after: Loaded) => ({
  before: before.policy.sha256,
  after: after.policy.sha256,
  ...diff,
  changes: diff.changes.map((change) => ({ ...change, words: formatChange(change) })),
})
