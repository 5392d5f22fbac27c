import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { isLogin } from '../../src/lib/names.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { type Sshd, startSshd } from '../ssh/sshd.ts'
import { type Actions, createActions, createKey } from './actions.ts'
import { audience, formatConfig, formatPolicy, formatSshConfig } from './files.ts'
import type { Place } from './place.ts'
import { checkThat, type Screen } from './screen.ts'
import { type Service, showPostern, startService } from './service.ts'

/** Everything the story is told with, running. */
export interface World extends Actions {
  readonly place: Place
  readonly screen: Screen
  readonly issuer: OidcIssuer
  readonly service: Service
  readonly web1: Sshd
  readonly web2: Sshd
  /** Whose login is bought: that of whoever runs the demo. */
  readonly login: string
}

/** What a test may set wrong, to see that the step which depends on it fails. */
export interface Sabotage {
  /** The group the policy names in place of `platform`. */
  readonly group?: string
  /** The name web-2 goes by in its principals file. */
  readonly web2?: string
}

/** Closes what was opened, last first. */
export type Opened = (() => void | Promise<void>)[]

/** The first steps: a key, an issuer, the service, two hosts. What each opens goes to `opened`. */
export const openWorld = async (
  place: Place,
  screen: Screen,
  opened: Opened,
  sabotage: Sabotage = {},
): Promise<World> => {
  const login = userInfo().username
  checkThat(isLogin(login), `the login "${login}" is none Postern takes: run the demo as another`)

  await screen.step(
    'Make a CA key, and a key for maya: both are new with every run.',
    async () => {
      await createKey(place, screen, 'user_ca')
      await createKey(place, screen, 'maya')
    },
    () => `only the service reads ${place.shown}/user_ca; hosts get its public half`,
  )

  const issuer = await screen.step(
    'Start an OIDC issuer, as a company has one. It knows maya, of the group platform, and sam, of none.',
    async () => {
      const started = await startOidcIssuer({ audience })
      opened.push(() => started.close())
      return started
    },
    ({ issuer }) => issuer,
  )

  const service = await screen.step(
    'Start Postern with one rule: the group platform may log in to web-1 and web-2.',
    async () => {
      mkdirSync(place.path('policies'), { mode: 0o700 })
      const { group = 'platform' } = sabotage
      const policy = formatPolicy({ issuer: issuer.issuer, login, group })
      writeFileSync(place.path('policies/web.yaml'), policy, { mode: 0o600 })
      screen.command(showPostern(place, ['serve']))
      const started = await startService(place, formatConfig(issuer.issuer))
      opened.push(() => started.stop())
      return started
    },
    ({ url }) => `ready on ${url}; the rule is in ${place.shown}/policies/web.yaml`,
  )

  const [web1, web2] = await screen.step(
    "Start two hosts, web-1 and web-2: stock sshds without any authorized_keys. They trust the CA's public key.",
    async () => {
      screen.command(`curl -sS ${service.url}/v1/ca/user.pub`)
      const answered = await fetch(`${service.url}/v1/ca/user.pub`)
      const caKey = (await answered.text()).trim()
      screen.answer(caKey)
      checkThat(answered.status === 200, `it answered ${answered.status}`)
      const start = async (name: string, principal: string) => {
        const dir = place.path(`hosts/${name}`)
        const logins = { [login]: [principal] }
        const variables = { POSTERN_HOST: name }
        const sshd = await startSshd({ name, dir, caKeys: [caKey], logins, variables })
        opened.push(() => sshd.stop())
        return sshd
      }
      const first = await start('web-1', `${login}@web-1`)
      const second = await start('web-2', `${login}@${sabotage.web2 ?? 'web-2'}`)
      const knownHosts = place.path('known_hosts')
      writeFileSync(
        knownHosts,
        [first, second].map((host) => `${host.name} ${host.hostKey}\n`).join(''),
      )
      const config = formatSshConfig([first, second], login, knownHosts)
      writeFileSync(place.path('ssh_config'), config)
      return [first, second] as const
    },
    (hosts) =>
      hosts
        .map(({ name, port }) => `${name} on 127.0.0.1:${port} admits ${login}@${name}`)
        .join(', '),
  )

  return Object.freeze({
    place,
    screen,
    issuer,
    service,
    web1,
    web2,
    login,
    ...createActions({ place, screen, issuer, service, login }),
  })
}
