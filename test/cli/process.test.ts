import { describe, expect, test } from 'vitest'
import { checkProcess } from '../../src/cli/process.ts'
import { AppError } from '../../src/errors.ts'

const check = (given: {
  env?: Record<string, string>
  execArgv?: readonly string[]
  isInspected?: boolean
}) => checkProcess({ env: {}, execArgv: [], isInspected: false, ...given })

const refusalOf = (given: Parameters<typeof check>[0]) => {
  try {
    check(given)
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(AppError)
    const { code, message } = error as AppError
    return { code, message }
  }
}

const refuse = (message: string) => ({ code: 'invalid_config', message })

describe('a process that serves', () => {
  test.each([
    {},
    { env: { NODE_TLS_REJECT_UNAUTHORIZED: '1', NODE_OPTIONS: '--max-old-space-size=512' } },
    { env: { NODE_DEBUG: '' } },
    { execArgv: ['--disable-proto=delete', '--disable-sigusr1'] },
  ])('may be an ordinary one: %j', (given) => {
    expect(refusalOf(given)).toBeUndefined()
  })

  test('has certificates checked (ATTACKS 69)', () => {
    expect(refusalOf({ env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })).toEqual(
      refuse(
        'NODE_TLS_REJECT_UNAUTHORIZED=0 accepts any certificate: whoever is on the way could be the identity provider.',
      ),
    )
  })

  const debuggerOpens = 'opens a debugger that can read the CA key.'
  test.each([
    ['--inspect', `--inspect ${debuggerOpens}`],
    ['--inspect=0.0.0.0:9229', `--inspect ${debuggerOpens}`],
    ['--inspect-brk', `--inspect-brk ${debuggerOpens}`],
    ['--inspect_wait', `--inspect-wait ${debuggerOpens}`],
    [
      '--heapsnapshot-signal=SIGUSR2',
      '--heapsnapshot-signal writes memory, and the CA key in it, to a file.',
    ],
    ['--heap-prof', '--heap-prof writes memory to a file.'],
    ['--report-on-signal', '--report-on-signal writes the state of the process to a file.'],
    ['--tls-keylog=f', '--tls-keylog writes the keys of TLS connections to a file.'],
    ['--tls-min-v1.0', '--tls-min-v1.0 weakens TLS.'],
    ['--tls-cipher-list=NULL', '--tls-cipher-list weakens TLS.'],
    ['--trace-tls', '--trace-tls prints TLS traffic.'],
    ['--insecure-http-parser', '--insecure-http-parser takes malformed HTTP.'],
  ])('has no %s, by flag or by NODE_OPTIONS (ATTACKS 66)', (flag, message) => {
    const expected = refuse(`Node's ${message}`)
    expect(refusalOf({ execArgv: ['--no-warnings', flag] })).toEqual(expected)
    expect(refusalOf({ env: { NODE_OPTIONS: `--no-warnings  "${flag}"` } })).toEqual(expected)
  })

  test('has no debugger open (ATTACKS 66)', () => {
    expect(refusalOf({ isInspected: true })).toEqual(refuse('A debugger is open on this process.'))
  })

  test.each(['NODE_DEBUG', 'NODE_DEBUG_NATIVE'])('prints no request through %s', (name) => {
    expect(refusalOf({ env: { [name]: 'http' } })).toEqual(
      refuse(`${name} prints requests, and the tokens in them.`),
    )
  })
})
