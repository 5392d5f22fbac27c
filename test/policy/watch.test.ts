import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { formatProblem } from '../../src/lib/yaml.ts'
import { openPolicy, type Watch, watchPolicy } from '../../src/policy/watch.ts'
import { useDirectories } from '../fakes/directory.ts'

const createDirectory = useDirectories()
const watches: Watch[] = []
afterAll(async () => {
  for (const watch of watches.splice(0)) await watch.close()
})

const rule = (name: string) => `rules:
  - name: ${name}
    who: [{ github: { id: "1", login: maya } }]
    hosts: [web-1.example.com]
    logins: [deploy]
    ttl: 5m
`
const second = 'rules:\n  - name: night\n    deny: not by night\n    who: [everyone]\n'
const denial = `${second}    hosts: ["*"]\n    logins: [root]\n`

/** Of what is not measured. */
const patient = { timeout: 8_000, interval: 20 }

/** A watch on a directory that holds one rule, and what it has told of. */
const start = async (directory = createDirectory()) => {
  if (readdirSync(directory).length === 0) writeFileSync(join(directory, 'a.yaml'), rule('first'))
  const { result, signature } = await openPolicy(directory)
  if (!result.ok) throw new Error('the first policy must load')
  const told: string[] = []
  const failures: string[] = []
  const recorder = { isDown: false }
  const watch = watchPolicy({
    directory,
    options: {},
    policy: result.policy,
    signature,
    events: {
      onPolicy: async ({ files }) => {
        if (recorder.isDown) throw new Error('no log')
        told.push(Object.keys(files).join(' '))
      },
      onFailure: async (problems) => {
        if (recorder.isDown) throw new Error('no log')
        failures.push(problems.map(formatProblem).join('\n'))
      },
    },
  })
  watches.push(watch)
  const names = () => watch.current().rules.map(({ ref }) => ref.name)
  const expectRules = (...wanted: readonly string[]) =>
    vi.waitFor(() => expect(names()).toEqual(wanted), patient)
  const expectProblem = (text: RegExp) =>
    vi.waitFor(
      () => expect(watch.listProblems().map(formatProblem).join('\n')).toMatch(text),
      patient,
    )
  return { directory, watch, told, failures, recorder, names, expectRules, expectProblem }
}

const write = (directory: string, name: string, text: string) =>
  writeFileSync(join(directory, name), text)

describe.concurrent('a change', () => {
  // Other suites may hold both cores for as long: once in three times it must be so.
  test('of a file, a new file and a removed one are in force within a second', {
    retry: 2,
  }, async () => {
    const { directory, expectRules, told } = await start()
    const taken: number[] = []
    const measure = async (change: () => void, ...wanted: readonly string[]) => {
      const before = performance.now()
      change()
      await expectRules(...wanted)
      taken.push(performance.now() - before)
    }
    await measure(() => write(directory, 'a.yaml', rule('other')), 'other')
    await measure(() => write(directory, 'b.yaml', rule('more')), 'other', 'more')
    await measure(() => unlinkSync(join(directory, 'a.yaml')), 'more')
    expect(Math.max(...taken)).toBeLessThan(1_000)
    expect(told).toEqual(['a.yaml', 'a.yaml b.yaml', 'b.yaml'])
  })

  test('that says the same as before is no news', async () => {
    const { directory, watch, told } = await start()
    const before = watch.current()
    write(directory, 'a.yaml', rule('first'))
    write(directory, 'notes.txt', 'nothing')
    write(directory, '.a.yaml.swp', 'nothing')
    await setTimeout(800)
    expect(watch.current()).toBe(before)
    expect(told).toEqual([])
  })

  test('asked for is read at once', async () => {
    const { directory, watch, names } = await start()
    write(directory, 'a.yaml', rule('other'))
    await watch.reload()
    expect(names()).toEqual(['other'])
  })

  test('after close is not looked at', async () => {
    const { directory, watch, names } = await start()
    await watch.close()
    write(directory, 'a.yaml', rule('other'))
    await setTimeout(800)
    expect(names()).toEqual(['first'])
  })
})

// ATTACKS 156
describe.concurrent('what does not load leaves the last good policy in force', () => {
  test.each([
    ['a mistake', 'rules:\n  - nmae: x\n', /^a\.yaml:2:\d+: /],
    ['half a file', rule('other').slice(0, 40), /^a\.yaml:\d+:\d+: /],
    [
      'a failing test of its own',
      `${rule('other')}tests:\n  - { name: t, who: { github: { id: "2", login: sam } }, ask: { host: web-1.example.com, login: deploy }, expect: { allow: other } }\n`,
      /^a\.yaml:8:/,
    ],
  ])('%s: and the mended file is taken', async (_what, text, problem) => {
    const { directory, names, watch, failures, expectProblem, expectRules } = await start()
    write(directory, 'a.yaml', text)
    await expectProblem(problem)
    expect(names()).toEqual(['first'])
    expect(failures).toHaveLength(1)
    write(directory, 'a.yaml', rule('mended'))
    await expectRules('mended')
    expect(watch.listProblems()).toEqual([])
  })

  test('a file that anyone may write', async () => {
    const { directory, names, expectProblem } = await start()
    write(directory, 'b.yaml', rule('planted'))
    chmodSync(join(directory, 'b.yaml'), 0o666)
    await expectProblem(/^b\.yaml:1:1: anyone on this machine may write here/)
    expect(names()).toEqual(['first'])
  })

  test('a link to nothing', async () => {
    const { directory, names, expectProblem } = await start()
    symlinkSync('/nonexistent/a.yaml', join(directory, 'b.yaml'))
    await expectProblem(/^b\.yaml:1:1: can't be read \(ENOENT\)/)
    expect(names()).toEqual(['first'])
  })

  test('a directory that is gone, until it is back', async () => {
    const { directory, names, watch, failures, expectProblem } = await start()
    renameSync(directory, `${directory}.away`)
    await expectProblem(/the policy directory can't be read \(ENOENT\)/)
    expect(names()).toEqual(['first'])
    renameSync(`${directory}.away`, directory)
    await vi.waitFor(() => expect(watch.listProblems()).toEqual([]), patient)
    expect(failures).toHaveLength(1)
  })

  test('a directory that has lost all its files, as under a volume that was unmounted', async () => {
    const { directory, names, expectProblem, expectRules } = await start()
    unlinkSync(join(directory, 'a.yaml'))
    await expectProblem(/has lost all its files/)
    expect(names()).toEqual(['first'])
    // To have no rule is possible, but it has to be said.
    write(directory, 'a.yaml', 'rules: []\n')
    await expectRules()
  })

  test('is told once for each distinct failure', async () => {
    const { directory, failures, expectProblem } = await start()
    write(directory, 'a.yaml', 'rules: 1\n')
    await expectProblem(/^a\.yaml:1:/)
    write(directory, 'a.yaml', 'rules: 1\n# a note\n')
    await setTimeout(700)
    write(directory, 'b.yaml', 'rules: 1\n')
    await expectProblem(/b\.yaml:1:/)
    const files = failures.map((text) => text.replaceAll(/:\d+:\d+:.*/g, ''))
    expect(files).toEqual(['a.yaml', 'a.yaml\nb.yaml'])
  })
})

describe.concurrent('files that move while they are read', () => {
  test('a file written in pieces is read once it rests: the rule at its end is never missing', async () => {
    const { directory, told, names, failures, expectRules } = await start()
    let text = rule('other')
    for (let line = 0; line < 14; line += 1) {
      write(directory, 'a.yaml', text)
      await setTimeout(60)
      text += '  # and so on\n'
    }
    expect(names()).toEqual(['first'])
    write(directory, 'a.yaml', text + denial.slice('rules:\n'.length))
    await expectRules('night', 'other')
    expect({ told, failures }).toEqual({ told: ['a.yaml'], failures: [] })
  })

  test('files behind one link, swapped, are of one version or the other', async () => {
    // As Kubernetes mounts a ConfigMap: names link to ..data/NAME, and ..data is swapped.
    const directory = createDirectory()
    const publish = (version: string) => {
      mkdirSync(join(directory, `..${version}`))
      for (const name of ['a', 'b', 'c']) {
        write(join(directory, `..${version}`), `${name}.yaml`, rule(`${name}-${version}`))
      }
      symlinkSync(`..${version}`, join(directory, '..next'))
      renameSync(join(directory, '..next'), join(directory, '..data'))
    }
    publish('v0')
    for (const name of ['a', 'b', 'c']) {
      symlinkSync(`..data/${name}.yaml`, join(directory, `${name}.yaml`))
    }
    const { watch, names, expectRules } = await start(directory)
    const seen = new Set<string>()
    for (let version = 1; version <= 30; version += 1) {
      const reading = watch.reload()
      // At another moment of the reading each time.
      for (let turn = 0; turn < version; turn += 1) await setImmediate()
      publish(`v${version}`)
      await reading
      seen.add(new Set(names().map((name) => name.slice(2))).size === 1 ? 'one' : 'mixed')
    }
    expect([...seen]).toEqual(['one'])
    await expectRules('a-v30', 'b-v30', 'c-v30')
  })

  test('the directory itself as a link, swapped', async () => {
    const base = createDirectory()
    for (const version of ['one', 'two']) {
      mkdirSync(join(base, version))
      write(join(base, version), 'a.yaml', rule(version))
    }
    symlinkSync('one', join(base, 'current'))
    const { names, expectRules, expectProblem } = await start(join(base, 'current'))
    expect(names()).toEqual(['one'])
    symlinkSync('two', join(base, 'next'))
    renameSync(join(base, 'next'), join(base, 'current'))
    await expectRules('two')
    rmSync(join(base, 'two'), { recursive: true })
    await expectProblem(/can't be read \(ENOENT\)/)
    expect(names()).toEqual(['two'])
  })
})

describe.concurrent('a log that cannot be written', () => {
  test('keeps a new policy out of force until it can be recorded', async () => {
    const { directory, watch, recorder, names, expectProblem } = await start()
    recorder.isDown = true
    write(directory, 'a.yaml', rule('other'))
    await expectProblem(/the new policy cannot be recorded in the log/)
    expect(names()).toEqual(['first'])
    recorder.isDown = false
    await watch.reload()
    expect(names()).toEqual(['other'])
    expect(watch.listProblems()).toEqual([])
  })

  test('is told of a failure again when it is back', async () => {
    const { directory, watch, recorder, failures, expectProblem } = await start()
    recorder.isDown = true
    write(directory, 'a.yaml', 'rules: 1\n')
    await expectProblem(/^a\.yaml:1:/)
    expect(failures).toEqual([])
    recorder.isDown = false
    await watch.reload()
    expect(failures).toHaveLength(1)
  })
})
