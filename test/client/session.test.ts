import { afterAll, describe, expect, test } from 'vitest'
import { startWorld } from './setup.ts'

const world = await startWorld()
afterAll(() => world.close())

describe('a session', () => {
  test('runs a command as the login, and says how it ended', async () => {
    const session = await world.client().connect(world.options())
    const { code, signal, stdout, stderr } = await session.exec([
      'sh',
      '-c',
      'echo out; echo err >&2; exit 7',
    ])
    expect({ code, signal, stdout, stderr }).toEqual({
      code: 7,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    await session.close()
  })
})
