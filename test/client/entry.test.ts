import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Every value import of a source file: where from, and by what names. */
const listImports = (file: string) => {
  const statement =
    /^(?:import|export)\s+(?!type\b)([^'"]*?)\s*from\s+'([^']+)'|import\(\s*'([^']+)'/gm
  return [...readFileSync(file, 'utf8').matchAll(statement)].map(
    ([, names = '', path, dynamic]) => ({
      path: (path ?? dynamic) as string,
      names: names
        .replaceAll(/[{}]/g, '')
        .split(',')
        .map((name) => name.trim().replace(/ as .*/, ''))
        .filter((name) => name !== '' && !name.startsWith('type ')),
    }),
  )
}

/** All that is loaded with the entry point: files of ours, packages, and names of Node's. */
const walk = () => {
  const files = new Set<string>()
  const packages = new Set<string>()
  const builtins = new Set<string>()
  const visit = (file: string) => {
    if (files.has(file)) return
    files.add(file)
    for (const { path, names } of listImports(file)) {
      if (path.startsWith('.')) visit(join(dirname(file), path))
      else if (path.startsWith('node:')) for (const name of names) builtins.add(`${path} ${name}`)
      else packages.add(path.split('/')[0] as string)
    }
  }
  visit(join(root, 'src/client/index.ts'))
  return { files: [...files].map((file) => relative(join(root, 'src'), file)), packages, builtins }
}

/** What it uses of Node, and the version that brought it (the changelogs of nodejs.org/api). */
const since: Readonly<Record<string, number>> = {
  'node:crypto ECDH': 10,
  'node:crypto createHash': 0.1,
  'node:crypto createHmac': 0.1,
  'node:crypto createPublicKey': 11.6,
  'node:crypto generateKeyPairSync': 10.12,
  'node:crypto hash': 20.12,
  'node:crypto randomFillSync': 7.1,
  'node:crypto sign': 12,
  'node:crypto verify': 12,
  'node:net BlockList': 15,
  'node:net connect': 0.1,
  'node:net isIP': 0.3,
  'node:net isIPv4': 0.3,
  'node:net isIPv6': 0.3,
  'node:timers/promises setTimeout': 15,
}

describe('the entry point postern/client', () => {
  test('loads no server code: only the SDK, lib, ssh, the codes, and ssh2', () => {
    const { files, packages } = walk()
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter((file) => !/^(client|lib|ssh)\/|^errors\.ts$/.test(file))).toEqual([])
    expect([...packages]).toEqual(['ssh2'])
  })

  test('uses nothing of Node that came after 22', () => {
    const used = [...walk().builtins]
    expect(
      used.every((name) => builtinModules.includes((name.split(' ')[0] as string).slice(5))),
    ).toBe(true)
    expect(used.filter((name) => !((since[name] ?? 99) < 22))).toEqual([])
    // The language: nothing after ES2024, which Node 22 has whole; tsc checks against that.
    const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
    expect({ target: compilerOptions.target, lib: compilerOptions.lib }).toEqual({
      target: 'es2024',
      lib: ['es2024'],
    })
  })
})
