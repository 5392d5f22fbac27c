import { readFileSync } from 'node:fs'
import type { OidcIssuer } from '../fakes/oidc.ts'
import { execute, type Outcome } from '../tools.ts'
import type { Place } from './place.ts'
import { checkThat, type Screen } from './screen.ts'
import { runPostern, type Service, showPostern } from './service.ts'

/** What people do in the story. Each shows on the screen what it runs, as one could retype it. */
export interface Actions {
  /** An ed25519 key pair of this name in the demo's directory. */
  createKey(name: string): Promise<void>
  /** `POST /v1/certificates` with a person's token, for one of the keys. */
  ask(person: string, key: string, more: Readonly<Record<string, string>>): Promise<Answer>
  /** Logs in with a key and the certificate beside it. */
  ssh(key: string, args: readonly string[], command: string): Promise<Outcome>
  /** Runs one of postern's commands. */
  postern(...args: readonly string[]): Promise<Outcome>
}

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export const createKey = async (place: Place, screen: Screen, name: string): Promise<void> => {
  screen.command(`ssh-keygen -q -t ed25519 -N '' -C ${name} -f ${place.shown}/${name}`)
  const args = ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', place.path(name)]
  const { code, stderr } = await execute('ssh-keygen', args)
  checkThat(code === 0, stderr)
}

/** `curl` for a token of somebody, as bare text. */
export const showToken = ({ issuer }: OidcIssuer, person: string): string =>
  `curl -sS -H 'Accept: text/plain' -d user=${person} ${issuer}/token`

/** `curl` for a certificate; `token` and the key's line are for the shell to fill in. */
export const showAsk = (
  url: string,
  token: string,
  keyFile: string,
  more: Readonly<Record<string, string>>,
): string => {
  const rest = JSON.stringify(more).slice(1)
  const body = `'{"publicKey":"'"$(cat ${keyFile})"'",${rest}'`
  return `curl -sS ${url}/v1/certificates -H "Authorization: Bearer ${token}" -H 'Content-Type: application/json' -d ${body}`
}

export const createActions = (given: {
  readonly place: Place
  readonly screen: Screen
  readonly issuer: OidcIssuer
  readonly service: Service
  readonly login: string
}): Actions => {
  const { place, screen, issuer, service, login } = given
  const inPlace = (name: string) => `${place.shown}/${name}`
  return Object.freeze({
    createKey: (name: string) => createKey(place, screen, name),

    async ask(person: string, key: string, more: Readonly<Record<string, string>>) {
      const ask = { login, ...more }
      screen.command(`TOKEN=$(${showToken(issuer, person)})`)
      const token = await buyToken(issuer, person)
      screen.command(showAsk(service.url, '$TOKEN', inPlace(`${key}.pub`), ask))
      const publicKey = readFileSync(place.path(`${key}.pub`), 'utf8').trim()
      const response = await fetch(`${service.url}/v1/certificates`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ publicKey, ...ask }),
      })
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    },

    async ssh(key: string, args: readonly string[], command: string) {
      const given = ['-F', inPlace('ssh_config'), '-i', inPlace(key), ...args]
      screen.command(`ssh ${given.join(' ')} '${command}'`)
      const outcome = await execute('ssh', [...given, command], { cwd: place.root })
      screen.answer(`${outcome.stdout}${outcome.stderr}`)
      return outcome
    },

    async postern(...args: readonly string[]) {
      screen.command(showPostern(place, args))
      const outcome = await runPostern(place, args)
      screen.answer(`${outcome.stdout}${outcome.stderr}`)
      return outcome
    },
  })
}

/** As a web app has one after somebody has logged in; this issuer asks for no password. */
const buyToken = async ({ issuer }: OidcIssuer, user: string): Promise<string> => {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { accept: 'text/plain' },
    body: new URLSearchParams({ user }),
  })
  checkThat(response.status === 200, `the issuer answered ${response.status}`)
  return (await response.text()).trim()
}
