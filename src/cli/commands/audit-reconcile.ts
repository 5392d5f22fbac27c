import { createReadStream, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Store } from '../../audit/index.ts'
import {
  createReconciler,
  findingKinds,
  type LoginFinding,
  listCaKeys,
  type Reconciler,
} from '../../audit/reconcile.ts'
import { type CertificateLogin, maxLineBytes, readLogLine } from '../../audit/sshd-log.ts'
import { AppError } from '../../errors.ts'
import { formatTime, systemClock } from '../../lib/clock.ts'
import { parseDuration } from '../../lib/duration.ts'
import { escapeJson } from '../../lib/json.ts'
import { type Line, readLines } from '../../lib/lines.ts'
import type { Command, Context } from '../command.ts'
import type { Output } from '../output.ts'
import { count } from '../policies.ts'
import { formatBar } from '../progress.ts'
import { withLog } from '../reading.ts'
import { openFindRevoked } from '../revoked.ts'

/** The exit code of a run that found something: what failed otherwise is 1, as everywhere. */
const foundExit = 3

export const auditReconcile: Command = {
  name: 'audit reconcile',
  summary: "compare a host's sshd log with what was issued: a login nobody can account for exits 3",
  argument: {
    name: '<file...>',
    summary: 'auth.log, syslog, `journalctl -o json`, or a log of sshd -E; - for stdin',
  },
  options: [
    {
      flags: '--tolerance <duration>',
      summary: "how far the host's clock, or a revocation, may lag (default: 2m)",
      check: (text) => (parseDuration(text) === undefined ? 'Write a duration as 2m.' : undefined),
    },
    {
      flags: '--offset <+hh:mm>',
      summary: 'the UTC offset of times that do not tell theirs, as in auth.log (default: +00:00)',
      check: (text) =>
        parseOffset(text) === undefined ? 'Write an offset as +01:00 or -05:30.' : undefined,
    },
    { flags: '--json', summary: 'print one JSON object a line, the last one a summary' },
  ],
  examples: [
    'postern audit reconcile /var/log/auth.log',
    'postern audit reconcile - < web-1.json',
    'postern audit reconcile --offset +01:00 --json web-1.log db-1.log',
  ],
  run: (context, _argument, { tolerance, offset, json }, _second, operands = []) =>
    withLog(context, async (store) => {
      const files = operands.map((name) => openFile(context, name))
      const reconciler = await openReconciler(store, String(tolerance ?? '2m'))
      const report = createReport(context.output, json === true)
      const clock = {
        now: systemClock(),
        offsetMinutes: parseOffset(String(offset ?? '+00:00')) ?? 0,
      }
      for (const file of files) {
        for await (const line of readFile(file)) {
          const found = readLogLine(line.text, clock)
          if (found !== undefined) await report.take(file.name, line, found, reconciler)
          if (line.number % 10_000 === 0) {
            report.progress(file, line)
            if (!(await context.output.settle())) return foundExit
          }
        }
      }
      return report.end()
    }),
}

const openReconciler = async (store: Store, tolerance: string): Promise<Reconciler> =>
  createReconciler({
    store,
    ours: await listCaKeys(store),
    findRevoked: await openFindRevoked(store),
    toleranceSeconds: parseDuration(tolerance) ?? 0,
  })

const parseOffset = (text: string): number | undefined => {
  const [, sign, hours = '', minutes = ''] = /^([+-])(\d\d):([0-5]\d)$/.exec(text) ?? []
  if (sign === undefined || Number(hours) > 14) return undefined
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

interface LogFile {
  readonly name: string
  readonly path: string | undefined
  /** Undefined for what has no end that is known. */
  readonly bytes: number | undefined
}

const openFile = ({ cwd }: Context, name: string): LogFile => {
  if (name === '-') return { name: 'stdin', path: undefined, bytes: undefined }
  const path = resolve(cwd, name)
  try {
    const found = statSync(path)
    if (found.isDirectory()) throw new Error('it is a directory')
    return { name, path, bytes: found.isFile() ? found.size : undefined }
  } catch (cause) {
    throw refuseFile(name, cause)
  }
}

const readFile = async function* ({ name, path }: LogFile): AsyncGenerator<Line> {
  const stream = path === undefined ? createReadStream('', { fd: 0 }) : createReadStream(path)
  try {
    yield* readLines(stream, maxLineBytes)
  } catch (cause) {
    throw refuseFile(name, cause)
  } finally {
    stream.destroy()
  }
}

const refuseFile = (name: string, cause: unknown): AppError =>
  new AppError('not_found', `The log ${name} cannot be read.`, {
    detail: cause instanceof Error ? cause.message : String(cause),
    hint: 'name a file of text; a compressed one by way of stdin: zcat FILE | postern audit reconcile -',
    cause,
  })

type Found = NonNullable<ReturnType<typeof readLogLine>>

/** Tells each finding as it is found, and keeps nothing but figures. */
const createReport = (output: Output, isJson: boolean) => {
  const figures = { logins: 0, foreign: 0, findings: 0, unknown: 0, untimed: 0 }

  const tell = (
    file: string,
    { number }: Line,
    login: Partial<CertificateLogin>,
    { kind, expected }: LoginFinding,
  ) => {
    figures.findings++
    const time = login.time === undefined ? undefined : formatTime(new Date(login.time))
    output.progress('')
    if (isJson) {
      const finding = { kind, file, line: number, ...login, ...(time && { time }), expected }
      output.text(`${escapeJson(JSON.stringify(finding))}\n`)
      return
    }
    const who = `${login.login}${login.host === undefined ? '' : ` on ${login.host}`}`
    const serial = login.serial === undefined ? '' : `, serial ${login.serial}`
    const instead = expected === undefined ? '' : ` (${expected})`
    const when = time === undefined ? '' : ` ${time}`
    output.line(
      `${file}:${number}:${when} ${who}${serial}: ${kind}: ${findingKinds[kind]}${instead}`,
    )
  }

  return {
    async take(file: string, line: Line, found: Found, reconciler: Reconciler): Promise<void> {
      if (found.kind === 'unknown') {
        figures.unknown++
        return
      }
      figures.logins++
      const { kind, ...login } = found
      if (kind === 'cut') return tell(file, line, login, { kind: 'unreadable' })
      if (found.time === undefined) figures.untimed++
      const judgement = await reconciler.judge(found)
      if (judgement.kind === 'foreign') figures.foreign++
      else for (const finding of judgement.findings) tell(file, line, login, finding)
    },
    progress({ name, bytes }: LogFile, { number, end }: Line) {
      const share = bytes === undefined ? undefined : end / bytes
      const words = `${name}: ${number} lines, ${count(figures.logins, 'login')}, ${count(figures.findings, 'finding')}`
      output.progress(share === undefined ? words : formatBar(share, words))
    },
    end(): number {
      output.progress('')
      const { logins, foreign, findings, unknown, untimed } = figures
      if (isJson) output.text(`${JSON.stringify({ summary: figures })}\n`)
      else output.line(`${count(logins, 'login')} by certificate, ${count(findings, 'finding')}`)
      if (foreign > 0) output.note(`signed by another CA than ours, and not looked at: ${foreign}`)
      if (untimed > 0)
        output.note(`without a time, so that only the rest could be checked: ${untimed}`)
      if (unknown > 0) output.note(`lines of logins in a form that is not known: ${unknown}`)
      return findings > 0 ? foundExit : 0
    },
  }
}
