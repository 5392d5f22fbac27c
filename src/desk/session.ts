import { readFileSync, rmSync } from 'node:fs'
import { AppError } from '../errors.ts'
import { checkPrivate, openDirectory, type Places, replaceFile } from './places.ts'

/** Who issued a login's token, and how it is renewed. */
export interface Grantor {
  readonly kind: 'github' | 'oidc'
  readonly issuer: string
  readonly clientId: string
  readonly type?: 'oauth-app' | 'github-app'
}

/** What is shown to the service. */
export type Credential =
  | {
      readonly kind: 'login'
      readonly bearer: string
      /** Seconds since 1970; absent where the token has no end of its own. */
      readonly expiresAt?: number
      readonly refreshToken?: string
      readonly grantor: Grantor
    }
  /** A CI job's: `bearer` was given to it once and for all. */
  | { readonly kind: 'job'; readonly bearer: string; readonly expiresAt?: number }
  /** A GitHub Actions job's: a new token is to be had for as long as the job runs. */
  | { readonly kind: 'github-actions'; readonly requestUrl: string; readonly requestToken: string }

/** A login with one service. */
export interface Session {
  /** The service's origin. */
  readonly url: string
  readonly credential: Credential
}

/** The login that is kept on disk, if any. Codes: `unsafe_place`, `not_logged_in` for a damaged one. */
export const findSession = (places: Places): Session | undefined => {
  checkPrivate(places.dir, 'directory')
  checkPrivate(places.session, 'file')
  let text: string
  try {
    text = readFileSync(places.session, 'utf8')
  } catch {
    return undefined
  }
  const session = parseSession(text)
  if (session !== undefined) return session
  throw new AppError('not_logged_in', 'The login on disk cannot be read.', {
    hint: 'log in again: postern login',
  })
}

/** Keeps a login on disk, 0600. Code: `unsafe_place`. */
export const saveSession = (places: Places, session: Session): void => {
  openDirectory(places.dir)
  replaceFile(places.session, `${JSON.stringify(session)}\n`)
}

/** Forgets it; whether there was one. */
export const removeSession = (places: Places): boolean => {
  try {
    rmSync(places.session)
    return true
  } catch {
    return false
  }
}

/** A session out of text from a file or a socket; undefined where it is none. */
export const parseSession = (text: string): Session | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isSession(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Whether a value has the members a session must have. */
export const isSession = (value: unknown): value is Session => {
  const { url, credential } = toMap(value)
  const given = toMap(credential)
  if (typeof url !== 'string') return false
  switch (given['kind']) {
    case 'login':
      return isText(given['bearer']) && isText(toMap(given['grantor'])['clientId'])
    case 'job':
      return isText(given['bearer'])
    case 'github-actions':
      return isText(given['requestUrl']) && isText(given['requestToken'])
    default:
      return false
  }
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''

const toMap = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {}
