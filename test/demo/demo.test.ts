import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { execute } from '../tools.ts'
import { runDemo } from './demo.ts'
import { openPlace } from './place.ts'
import type { Sabotage } from './world.ts'

const root = mkdtempSync(join(tmpdir(), 'postern-demo-'))
afterAll(() => rmSync(root, { recursive: true }))
const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** Runs the demo under a directory of its own; `read` is what it has said so far. */
const start = (options: { once: boolean; sabotage?: Sabotage }) => {
  const stopping = new AbortController()
  let said = ''
  const heard: (() => void)[] = []
  const ended = runDemo({
    root,
    isColoured: false,
    stop: stopping.signal,
    write: (text) => {
      said += text
      for (const tell of heard) tell()
    },
    ...options,
  })
  const waitFor = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => said.includes(text) && resolve()
      heard.push(look)
      look()
      ended.then((code) => reject(new Error(`it ended with ${code}: ${said}`)), reject)
    })
  return { ended, waitFor, read: () => said, stop: () => stopping.abort() }
}

describe('the demo', () => {
  test('does every step, stays up with commands that work as pasted, and ends all it started', async () => {
    const demo = start({ once: false })
    await demo.waitFor('A shell on web-1')
    const text = demo.read()
    expect(text).not.toContain('✗')
    expect(text.match(/✓/g)).toHaveLength(14)
    expect(text).toContain('web-2 logs: Certificate does not contain an authorized principal')
    expect(text).toContain('web-1 logs: Certificate invalid: expired')
    expect(text).toContain('403 policy_denied: No rule lets you log in to web-1 as ')
    expect(text).toMatch(/ok: 5 entries/)
    expect(text).toContain('Every step did what it should.')

    const commands = text.match(/^ {2}curl .*$/gm) ?? []
    expect(commands).toHaveLength(3)
    // The shells it is made for: a person pastes these lines.
    for (const shell of ['sh', 'bash']) {
      const answers = await Promise.all(
        commands.map((line) => execute(shell, ['-c', line], { cwd: root })),
      )
      expect(answers.map(({ code }) => code)).toEqual([0, 0, 0])
      const [whoami, certificate, caKey] = answers.map(({ stdout }) => stdout)
      expect(JSON.parse(whoami as string)).toMatchObject({ name: 'maya', subject: 'u-1001' })
      expect(JSON.parse(certificate as string)).toMatchObject({ rule: 'platform-web' })
      const made = readFileSync(join(root, '.demo', 'user_ca.pub'), 'utf8')
      expect(made.startsWith((caKey as string).trim())).toBe(true)
    }
    const ssh = /^ {2}(ssh -F .*)$/m.exec(text)?.[1] as string
    const session = await execute('sh', ['-c', `${ssh} id`], { cwd: root })
    expect(session.code).toBe(0)

    demo.stop()
    expect(await demo.ended).toBe(0)
    const { stderr } = await execute('sh', ['-c', `${ssh} id`], { cwd: root })
    expect(stderr).toContain('Connection refused')
    const gone = await execute('sh', ['-c', commands[2] as string], { cwd: root })
    expect(gone.code).not.toBe(0)
  })

  test.each<[string, Sabotage, RegExp]>([
    [
      'the policy names another group',
      { group: 'sales' },
      /^error: step 5 failed, "Maya has a token\..*": the service answered 403 policy_denied: /m,
    ],
    [
      'web-2 goes by the name of web-1',
      { web2: 'web-1' },
      /^error: step 9 failed, "Web-2 trusts the same CA, .*": the host did not refuse it$/m,
    ],
  ])('ends with 1 and names the step where %s', async (_what, sabotage, message) => {
    const demo = start({ once: true, sabotage })
    expect(await demo.ended).toBe(1)
    expect(demo.read()).toMatch(message)
    expect(demo.read()).not.toContain('Every step did what it should.')
  })

  test('takes a directory of its own beside a running one, and empties what it takes', () => {
    const elsewhere = join(root, 'elsewhere')
    mkdirSync(join(elsewhere, '.demo', 'left-over'), { recursive: true })
    const first = openPlace(elsewhere)
    const second = openPlace(elsewhere)
    expect([first.shown, second.shown]).toEqual(['.demo', '.demo/2'])
    expect(() => readFileSync(first.path('left-over'))).toThrow('ENOENT')
    first.close()
    const third = openPlace(elsewhere)
    expect(third.shown).toBe('.demo')
    second.close()
    third.close()
  })
})

describe('npm run demo', () => {
  test.each([
    ['--help', 0, 'stdout'],
    ['--onse', 2, 'stderr'],
  ] as const)('%s ends with %i and the usage on %s', async (argument, code, stream) => {
    const outcome = await execute(process.execPath, [main, argument])
    expect(outcome.code).toBe(code)
    expect(outcome[stream]).toContain('Usage: npm run demo [-- --once]')
  })
})
