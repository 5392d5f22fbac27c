import { ensurePackages, isMissing } from '../tools.ts'
import { showAsk, showToken } from './actions.ts'
import { openPlace } from './place.ts'
import { createScreen } from './screen.ts'
import { createSteps } from './steps.ts'
import { type Opened, openWorld, type Sabotage, type World } from './world.ts'

/**
 * Tells the story from a token to a login, and answers the exit code: 0 only where every step did
 * what it should. Without `once` it stays up until `stop` is aborted. Whatever happens, everything
 * it started is ended before it answers.
 */
export const runDemo = async (given: {
  /** The checkout; everything is in `.demo/` in it. */
  readonly root: string
  readonly once: boolean
  readonly write: (text: string) => void
  readonly isColoured: boolean
  readonly stop: AbortSignal
  readonly sabotage?: Sabotage
}): Promise<number> => {
  const { once, write, isColoured, stop, sabotage } = given
  const screen = createScreen(write, { isColoured })
  const opened: Opened = []
  try {
    await ensurePackages(['openssh-client', 'openssh-server'], screen.line)
    const place = openPlace(given.root)
    opened.push(() => place.close())
    screen.line(`Postern, from a token to a login. Everything is in ${place.shown}/.\n`)

    const world = await openWorld(place, screen, opened, sabotage)
    for (const { title, run } of createSteps(world)) {
      if (stop.aborted) return interrupted
      await screen.step(
        title,
        () => run(world),
        (result) => result,
      )
    }
    if (stop.aborted) return interrupted
    screen.line('Every step did what it should.')
    if (once) return 0
    tellMore(world)
    return await stayUp(world, stop)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    screen.line(`error: ${message}`)
    return 1
  } finally {
    for (const close of opened.reverse()) await close()
  }
}

/** 128 and the number of SIGINT, as shells have it. */
const interrupted = 130

const stayUp = async ({ service, screen }: World, stop: AbortSignal): Promise<number> => {
  const stopped = new Promise<'stopped'>((resolve) => {
    if (stop.aborted) resolve('stopped')
    stop.addEventListener('abort', () => resolve('stopped'))
  })
  const why = await Promise.race([stopped, service.ended])
  if (why === 'stopped') {
    screen.line('\nEnding everything.')
    return 0
  }
  screen.line('error: the service has ended')
  return 1
}

/** What one can paste while it stays up; each line works alone, in any shell, from the checkout. */
export const listCommands = ({ service, issuer, place, login }: World): readonly string[] => {
  const token = `$(${showToken(issuer, 'maya')})`
  const ask = { login, host: 'web-1' }
  return [
    `curl -sS ${service.url}/v1/whoami -H "Authorization: Bearer ${token}"`,
    showAsk(service.url, token, `${place.shown}/maya.pub`, ask),
    `curl -sS ${service.url}/v1/ca/user.pub`,
  ]
}

const tellMore = (world: World): void => {
  const { screen, place } = world
  const [whoami = '', certificate = '', caKey = ''] = listCommands(world)
  screen.line(`
It stays up until Ctrl-C. In another terminal, from the checkout:

Who Postern takes maya for, by a token from the issuer (user=sam is the other):
  ${whoami}

A certificate for her key:
  ${certificate}

The CA's public key, the one thing a host needs:
  ${caKey}

A shell on web-1, while the certificate above lasts:
  ssh -F ${place.shown}/ssh_config -i ${place.shown}/maya web-1${
    isMissing('curl') ? '\n\ncurl is missing here: apt-get install curl' : ''
  }
`)
}
