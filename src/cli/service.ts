import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { resolve } from 'node:path'
import { findAdminSocket, findUser } from '../app/admin.ts'
import { readSecret } from '../config.ts'
import { AppError, type Code, codes } from '../errors.ts'
import { isLogin } from '../lib/names.ts'
import { type Context, type Option, readConfig } from './command.ts'

/** A running service, as a command gives orders to it. */
export interface Service {
  /** The members of its answer. Codes: what the service says, or `not_running`. */
  send(method: string, path: string, body?: unknown): Promise<Readonly<Record<string, unknown>>>
}

export const urlOption: Option = {
  flags: '--url <url>',
  summary: 'a service elsewhere, with the token in the file $POSTERN_TOKEN_FILE names',
  check: (text) =>
    parseServiceUrl(text) === undefined
      ? 'Write the origin of a service as https://postern.example.com.'
      : undefined,
}

/** A token is sent there, so only over TLS, or within this machine. */
const parseServiceUrl = (text: string): URL | undefined => {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLocal)
  return isSafe && url.href === `${url.origin}/` ? url : undefined
}

/**
 * The service of the configuration by its admin socket, or the one at `--url`. Codes: `usage`,
 * `invalid_config`.
 */
export const openService = async (context: Context, url: string | undefined): Promise<Service> => {
  if (url === undefined) {
    const { dataDir } = await readConfig(context)
    const socketPath = findAdminSocket(dataDir)
    // Who becomes the service's user by sudo is still somebody.
    const user = context.env['SUDO_USER'] ?? findUser()
    const headers = { host: 'localhost', ...(isLogin(user) ? { 'postern-user': user } : {}) }
    return createService({ socketPath, headers }, (cause) => describeSocket(cause, socketPath))
  }
  const file = context.env['POSTERN_TOKEN_FILE']
  if (file === undefined) {
    throw new AppError('usage', 'A service at --url wants a token.', {
      hint: 'write it to a file of your own (chmod 600), and name that in POSTERN_TOKEN_FILE',
    })
  }
  const credentials = (await readSecret(resolve(context.cwd, file))).trim()
  // Anything else would make a header that cannot be sent.
  if (!/^[\x21-\x7e]+$/.test(credentials)) {
    throw new AppError('usage', 'The file that POSTERN_TOKEN_FILE names holds no token.', {
      hint: 'write the token into it, on one line, and nothing else',
    })
  }
  const { protocol, hostname, port } = parseServiceUrl(url) as URL
  const place = { protocol, host: hostname.replace(/^\[(.*)\]$/, '$1'), ...(port && { port }) }
  const headers = { authorization: `Bearer ${credentials}` }
  return createService({ ...place, headers }, (cause) => describeUrl(cause, url))
}

interface Target {
  readonly socketPath?: string
  readonly protocol?: string
  readonly host?: string
  readonly port?: string
  readonly headers: Readonly<Record<string, string>>
}

const timeoutMillis = 15_000
const maxAnswerBytes = 8 * 1024 * 1024

const createService = (
  target: Target,
  describe: (cause: NodeJS.ErrnoException) => AppError,
): Service =>
  Object.freeze({
    async send(method: string, path: string, body?: unknown) {
      const text = body === undefined ? '' : JSON.stringify(body)
      const answer = await exchange(target, method, path, text).catch((cause) => {
        throw describe(cause)
      })
      return readAnswer(answer)
    },
  })

interface Answer {
  readonly status: number
  readonly text: string
}

/** One request, and the whole of its answer. No redirect is followed: it would take the token along. */
const exchange = (target: Target, method: string, path: string, body: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const send = target.protocol === 'https:' ? httpsRequest : httpRequest
    const headers = {
      ...target.headers,
      ...(body === '' ? {} : { 'content-type': 'application/json' }),
      'content-length': Buffer.byteLength(body),
    }
    const signal = AbortSignal.timeout(timeoutMillis)
    const request = send({ ...target, method, path, headers, signal }, (response) =>
      readBody(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, text }),
        reject,
      ),
    )
    request.once('error', reject)
    request.end(body)
  })

const readBody = async (response: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const part of response.setEncoding('utf8')) {
    text += part
    if (text.length > maxAnswerBytes) throw new Error('the answer is larger than 8 MiB')
  }
  return text
}

const readAnswer = ({ status, text }: Answer): Readonly<Record<string, unknown>> => {
  const members = parseMembers(text)
  if (members !== undefined && status >= 200 && status < 300) return members
  const { code, detail, requestId } = members ?? {}
  if (typeof code !== 'string' || !Object.hasOwn(codes, code) || typeof detail !== 'string') {
    throw new AppError('not_running', `What answers there (${status}) is no postern.`, {
      hint: 'name the origin of the service itself, as in its publicUrl',
    })
  }
  const hint = hints[code as Code]
  throw new AppError(code as Code, detail, {
    detail: `request ${requestId}`,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** What to do on the command line about a refusal. */
const hints: { readonly [code in Code]?: string } = {
  authentication_required: 'write a token into the file that POSTERN_TOKEN_FILE names',
  invalid_token: 'write a current token into the file that POSTERN_TOKEN_FILE names',
  idp_unavailable: 'on the server itself, without --url, no identity provider is asked',
  role_required: 'on the server itself, without --url, no role is asked for',
  ca_key_conflict: 'postern ca list',
  hosts_behind: 'all the same: postern ca activate --force',
  certificates_alive: 'for a key that others may hold: postern ca remove FINGERPRINT --force',
  audit_unavailable: 'make room on the disk of dataDir, then run this again',
}

const parseMembers = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

const describeSocket = (cause: NodeJS.ErrnoException, path: string): AppError => {
  const detail = `${path}: ${cause.code ?? cause.message}`
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    return new AppError('not_running', 'The admin socket is not open to this user.', {
      detail,
      hint: 'run this as the user that the service runs as, or as root',
    })
  }
  return new AppError('not_running', 'No service answers on the admin socket.', {
    detail,
    hint: 'start it: postern serve; for one elsewhere, name it: --url https://HOST',
  })
}

const describeUrl = (cause: NodeJS.ErrnoException, url: string): AppError =>
  new AppError('not_running', `No service answers at ${url}.`, {
    detail: cause.code ?? cause.message,
    hint: 'check the address; where the service runs, the command works without --url',
  })
