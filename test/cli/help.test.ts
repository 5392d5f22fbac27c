import { describe, expect, test } from 'vitest'
import { codes } from '../../src/errors.ts'
import { runCli } from './run.ts'

const run = (...argv: string[]) => runCli(argv, { cwd: import.meta.dirname })

describe('postern help', () => {
  test('says of a code what the page of it says', async () => {
    const { code, stdout } = await run('help', 'frozen')
    expect(code).toBe(0)
    expect(stdout).toBe(`code        frozen (HTTP 503, exit 1)
means       Issuing is frozen.
happened    All issuing has been stopped, by somebody whom the detail names. Certificates that are out go on until they end.
what to do  Ask them. \`postern unfreeze\` lifts it.
who can     An administrator of this service.
`)
  })

  test('lists every code', async () => {
    const { stdout } = await run('help')
    expect(stdout.trimEnd().split('\n')).toHaveLength(Object.keys(codes).length + 1)
  })

  test('is JSON on request', async () => {
    const { stdout } = await run('help', 'frozen', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ code: 'frozen', status: 503, exit: 1 })
  })

  test('of a code there is not says which was meant', async () => {
    const { code, stderr } = await run('help', 'policy_denyed')
    expect(code).toBe(1)
    expect(stderr).toBe('error: No error has this code.\nhint: did you mean policy_denied?\n')
  })
})
