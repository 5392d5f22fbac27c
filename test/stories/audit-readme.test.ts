/**
 * The README's own lines about the log, as somebody pastes them: in a shell, with the real binary, beside a
 * service that is a process of its own. Only the names of places differ.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startCli, writeFiles } from '../cli/run.ts'
import { createServed, type Served } from '../cli/served.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { execute } from '../tools.ts'

const pathTo = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const readme = readFileSync(pathTo('README.md'), 'utf8')

let issuer: OidcIssuer
let { cwd, cli, pathOf, ask } = {} as Served
beforeEach(async () => {
  issuer = await startOidcIssuer()
  ;({ cwd, cli, pathOf, ask } = await createServed(issuer))
  mkdirSync(pathOf('other'))
  writeFiles(cwd, {
    'bin/postern': `#!/bin/sh\nexec ${process.execPath} ${pathTo('src/main.ts')} "$@"\n`,
  })
  chmodSync(pathOf('bin/postern'), 0o700)
})
afterEach(() => issuer.close())

/** The n-th block of shell lines behind some words of the README. */
const findLines = (words: string, n = 0): readonly string[] => {
  const blocks = readme.slice(readme.indexOf(words)).split('```sh\n').slice(1)
  return blocks[n]?.split('\n```')[0]?.split('\n') ?? []
}

const env = () => ({ ...process.env, PATH: `${pathOf('bin')}:${process.env['PATH']}` })
const adapt = (line: string, url: string) =>
  line
    .replaceAll('https://postern.example.com', url)
    .replaceAll('/mnt/other', pathOf('other'))
    .replaceAll('dist/audit/offline.js', pathTo('src/audit/offline.ts'))
const paste = (line: string, url = '') =>
  execute('sh', ['-c', adapt(line, url)], { cwd, env: env() })

test('the lines of the README about the log do what they say', async () => {
  const { child, firstLine, ended } = startCli(['serve'], { cwd })
  const url = (await firstLine).replace('postern: ready on ', '')
  for (let n = 0; n < 3; n++) await ask(url)

  // The log is judged by a checkpoint, and a proof.
  const lines = findLines('### The log as evidence')
  const outcomes = []
  for (const line of lines) outcomes.push(await paste(line, url))
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0])
  expect(outcomes.map(({ stdout }) => stdout.split('\n')[0])).toEqual([
    ...['', '', 'ok: 5 entries', 'ok: 5 entries', ''],
    'ok: 5 entries, 2 of them signed',
  ])
  const [proof = ''] = findLines('### The log as evidence', 1)
  const socket = `curl -fsS --unix-socket data/admin.sock 'http://localhost/v1/audit/proof?seq=2'`
  expect(await paste(`${socket} > proof.json`)).toMatchObject({ code: 0, stderr: '' })
  expect(await paste(proof)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^ok: entry 2 of the 2 signed has the hash [0-9a-f]{64}\n$/),
  })

  // A backup, and a certificate that it lacks.
  const backup = /\*\*Backup\.\*\* `([^`]+)`/.exec(readme)?.[1] ?? ''
  expect((await paste(backup)).stdout).toMatch(/^ok: 5 entries in /)
  await ask(url)
  child.kill('SIGTERM')
  expect((await ended).code).toBe(0)

  // The database is lost.
  const steps = findLines('**The database is lost or damaged.**')
  expect(steps.map((line) => line.split(' ')[0])).toEqual([
    ...['mkdir', 'install', 'postern', 'postern', 'postern'],
  ])
  const codes = []
  for (const line of steps.slice(0, 4)) codes.push((await paste(line)).code)
  expect(codes).toEqual([0, 0, 0, 1])
  const accepting = spawn('sh', ['-c', `exec ${steps[4]}`], {
    cwd,
    env: env(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  accepting.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  expect(String((await once(accepting.stdout, 'data'))[0])).toMatch(/^postern: ready on /)
  accepting.kill('SIGTERM')
  expect((await once(accepting, 'close'))[0]).toBe(0)
  expect(said).toContain('"from":6,"to":6,"msg":"entries are given up: order anew what they')
  const { stdout } = await cli('audit', 'search', '--type', 'rollback', '--json')
  expect(JSON.parse(stdout)).toMatchObject({ seq: 6, lost: { from: 6, to: 6 } })
}, 120_000)
