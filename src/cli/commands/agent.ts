import { findPlaces } from '../../desk/places.ts'
import type { Command } from '../command.ts'

export const agent: Command = {
  name: 'agent',
  summary:
    'run the agent that keeps keys and certificates in memory; started by itself when needed',
  examples: ['postern agent'],
  async run(context) {
    const { openAgent } = await import('../../desk/agent.ts')
    const { systemClock } = await import('../../lib/clock.ts')
    const { systemFetch } = await import('../../lib/fetch.ts')
    const { waitForSignal } = await import('../process.ts')
    const running = await openAgent({
      places: findPlaces(context.env),
      clock: systemClock,
      monotonic: () => performance.now(),
      fetch: systemFetch,
    })
    if (running === undefined) {
      context.output.note('an agent is running already')
      return 0
    }
    waitForSignal().then(running.stop)
    await running.ended
    return 0
  },
}
