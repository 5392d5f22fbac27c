import { AppError } from '../errors.ts'

/** Flags of Node by which a running service could be read or weakened from outside. */
const forbiddenFlags = [
  { flag: '--inspect', why: 'opens a debugger that can read the CA key' },
  { flag: '--heapsnapshot-', why: 'writes memory, and the CA key in it, to a file' },
  { flag: '--heap-prof', why: 'writes memory to a file' },
  { flag: '--report-', why: 'writes the state of the process to a file' },
  { flag: '--tls-keylog', why: 'writes the keys of TLS connections to a file' },
  { flag: '--tls-min-v1.', why: 'weakens TLS' },
  { flag: '--tls-cipher-list', why: 'weakens TLS' },
  { flag: '--insecure-http-parser', why: 'takes malformed HTTP' },
  { flag: '--trace-tls', why: 'prints TLS traffic' },
] as const

/** Variables that do the same. */
const forbiddenVariables = [
  { name: 'NODE_DEBUG', why: 'prints requests, and the tokens in them' },
  { name: 'NODE_DEBUG_NATIVE', why: 'prints requests, and the tokens in them' },
] as const

/**
 * Refuses to serve from a process that is open to others or has a check switched off. Code:
 * `invalid_config`.
 */
export const checkProcess = (given: {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly execArgv: readonly string[]
  readonly isInspected: boolean
}): void => {
  const { env, execArgv } = given
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    throw new AppError(
      'invalid_config',
      'NODE_TLS_REJECT_UNAUTHORIZED=0 accepts any certificate: whoever is on the way could be the identity provider.',
      { hint: 'unset NODE_TLS_REJECT_UNAUTHORIZED; for a private CA set NODE_EXTRA_CA_CERTS=FILE' },
    )
  }
  // Node takes underscores for hyphens, and splits NODE_OPTIONS at spaces outside quotes.
  const flags = [...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/[\s"]+/)].map((flag) =>
    flag.replaceAll('_', '-'),
  )
  for (const { flag, why } of forbiddenFlags) {
    const found = flags.find((given) => given.startsWith(flag))
    if (found !== undefined) {
      throw new AppError('invalid_config', `Node's ${found.split('=')[0]} ${why}.`, {
        hint: 'take it out of NODE_OPTIONS and the command line',
      })
    }
  }
  for (const { name, why } of forbiddenVariables) {
    if (env[name]) {
      throw new AppError('invalid_config', `${name} ${why}.`, { hint: `unset ${name}` })
    }
  }
  if (given.isInspected) {
    throw new AppError('invalid_config', 'A debugger is open on this process.', {
      hint: 'start the service without it',
    })
  }
}

/**
 * Keeps what the process makes to its own user, and SIGUSR1 from opening a debugger in it: Node
 * leaves the signal to a listener where there is one.
 */
export const closeProcess = (): void => {
  process.umask(0o077)
  if (process.listenerCount('SIGUSR1') === 0) process.on('SIGUSR1', () => {})
}

/** Resolves at the first SIGTERM or SIGINT. The second ends the process at once. */
export const waitForSignal = (): Promise<void> =>
  new Promise((resolve) => {
    let isStopping = false
    const stop = () => {
      if (isStopping) process.exit(1)
      isStopping = true
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })

/** Does something at every SIGHUP, which would otherwise end the process. */
export const onHangup = (act: () => unknown): void => {
  process.on('SIGHUP', act)
}

/** Ends the process if stopping takes longer than it may. */
export const limitStop = (seconds: number): void => {
  setTimeout(() => process.exit(1), seconds * 1000).unref()
}
