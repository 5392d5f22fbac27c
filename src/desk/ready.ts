import { askAgent, askStartedAgent, toError } from './control.ts'
import { isPlainName, readHost, readLogin } from './names.ts'
import type { Places } from './places.ts'
import { findSession } from './session.ts'

/** How long ssh may be kept waiting before it goes on without us. */
const timeoutMs = 1_300

/**
 * Makes sure that a certificate for a login of a host is with the agent: true where it is, false
 * where the host is none of Postern's or nobody is logged in. It never asks anybody anything.
 * Codes: `invalid_host`, `invalid_login`, `unsafe_place`, and what the service says.
 */
export const ready = async (
  places: Places,
  given: {
    readonly host: string
    readonly login: string
    readonly name?: string
    readonly ours: boolean
  },
): Promise<boolean> => {
  if (isForeign(given.host, readHost) || isForeign(given.login, readLogin)) return false
  const host = readHost(given.host)
  const login = readLogin(given.login)
  const { name = given.host, ours } = given
  if (!isPlainName(name)) readHost(name)
  const request = { kind: 'ready', host, login, name, ours } as const
  const isLoggedIn = findSession(places) !== undefined
  const answer = isLoggedIn
    ? await askStartedAgent(places, request, timeoutMs)
    : await askAgent(places, request, timeoutMs)
  if (answer === undefined || answer.foreign === true) return false
  if (answer.ok) return true
  throw toError(answer)
}

/**
 * What other systems call hosts and users and we do not (`10.0.0.5`, `my_host`, `Admin`): letters,
 * digits and a few signs, none of which means anything to a shell.
 */
const isForeign = (text: string, read: (text: string) => string): boolean => {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.:%@+-]*$/.test(text)) return false
  try {
    read(text)
    return false
  } catch {
    return true
  }
}
