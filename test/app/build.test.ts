import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { schemas } from '../../src/app/schemas.ts'
import { startOidcIssuer } from '../fakes/oidc.ts'

/** What `npm run build` makes of these sources, as a package that somebody has installed. */
const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const dir = mkdtempSync(join(tmpdir(), 'postern-build-'))
const out = join(dir, 'node_modules/postern')
afterAll(() => rmSync(dir, { recursive: true }))

mkdirSync(out, { recursive: true })
for (const name of ['src', 'package.json', 'tsconfig.json', '.tsconfig.build.json']) {
  cpSync(join(root, name), join(out, name), { recursive: true })
}
symlinkSync(join(root, 'node_modules'), join(out, 'node_modules'))
await run('npm', ['run', '-s', 'build'], { cwd: out })
rmSync(join(out, 'src'), { recursive: true })
writeFileSync(join(dir, 'package.json'), '{ "type": "module" }')

test('the service as it is built serves hosts their scripts, and signs them', async () => {
  const main = join(out, 'dist/main.js')
  const cwd = join(dir, 'service')
  await run(process.execPath, [main, 'init', cwd])
  const issuer = await startOidcIssuer()
  writeFileSync(
    join(cwd, 'postern.yaml'),
    `listen: 127.0.0.1:0
publicUrl: https://postern.example.com
ca: { userKey: user_ca }
trustedProxies: [127.0.0.1/32]
identity: { oidc: [{ issuer: "${issuer.issuer}", audience: postern }] }
`,
  )
  const child = spawn(process.execPath, [main, 'serve'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const url = line.toString().trim().replace('postern: ready on ', '')
    const read = async (path: string) => {
      const response = await fetch(`${url}${path}`, { headers: { host: 'postern.example.com' } })
      return { status: response.status, text: await response.text() }
    }
    const source = (name: string) => readFileSync(join(root, 'src/hosts/scripts', name), 'utf8')
    expect(await read('/enrol')).toEqual({
      status: 200,
      text: source('enrol.sh').replaceAll('@publicUrl@', 'https://postern.example.com'),
    })
    expect(await read('/enrol/postern-host')).toEqual({
      status: 200,
      text: source('postern-host.sh'),
    })
    expect((await read('/enrol/postern-host.sig')).text).toMatch(/^-----BEGIN SSH SIGNATURE-----/)
  } finally {
    child.kill('SIGTERM')
    await ended
    await issuer.close()
  }
})

test('the JSON Schemas are in the package, as the service serves them', () => {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly files: readonly string[]
  }
  expect(files).toEqual(expect.arrayContaining(['dist', 'policies']))
  for (const [name, create] of Object.entries(schemas)) {
    const text = readFileSync(join(out, `dist/schemas/${name}.json`), 'utf8')
    expect(JSON.parse(text)).toEqual(create())
  }
})

test('the entry point postern/client is what the package says, with types, and works as it is shipped', async () => {
  writeFileSync(
    join(dir, 'use.ts'),
    `import { createClient, PosternError, type Session } from 'postern/client'
const run = async (session: Session): Promise<string> => (await session.exec(['id', '-un'])).stdout
const client = createClient({ url: 'https://postern.example.com' })
try {
  const session = await client.connect({ token: 't', host: '-x', login: 'deploy' })
  await run(session)
} catch (error) {
  if (error instanceof PosternError) console.log(error.code satisfies string)
}
// @ts-expect-error: a login is needed
client.issue({ token: 't', host: 'a' })
`,
  )
  const options = {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    },
    files: ['use.ts'],
  }
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(options))
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', dir])

  writeFileSync(
    join(dir, 'use.js'),
    `import { createClient } from 'postern/client'
const client = createClient({ url: 'https://postern.example.com' })
const error = await client.connect({ token: 't', host: '-x', login: 'deploy' }).catch((error) => error)
console.log(error.code)
const { createSsh2Transport } = await import('./node_modules/postern/dist/client/transports/ssh2.js')
console.log(Object.keys(createSsh2Transport()).join())
`,
  )
  const { stdout } = await run(process.execPath, ['use.js'], { cwd: dir })
  expect(stdout).toBe('invalid_host\nopen\n')
  expect(existsSync(join(out, 'dist/client/index.d.ts'))).toBe(true)
})
