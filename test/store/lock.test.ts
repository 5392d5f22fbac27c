import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLock, openReader, openStore } from '../../src/store/index.ts'
import { useDirectories } from '../fakes/directory.ts'

const makeDirectory = useDirectories()

const alreadyRunning = (path: string) =>
  expect.objectContaining({
    code: 'already_running',
    kind: 'conflict',
    message: 'Another postern is running on this data directory.',
    hint: `stop the process that holds ${path} (\`fuser ${path}\` names it), or give this one a dataDir of its own`,
  })

/** A process that holds the lock until it is killed. */
const spawnHolder = async (path: string) => {
  const program = `
    const { openLock } = await import(${JSON.stringify(new URL('../../src/store/index.ts', import.meta.url).href)})
    openLock(${JSON.stringify(path)})
    console.log('held')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

// ATTACKS 193
describe('the lock', () => {
  test('lets one service in, and the next when it has left', () => {
    const path = join(makeDirectory(), 'postern.lock')
    const first = openLock(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(() => openLock(path)).toThrow(alreadyRunning(path))
    expect(() => openLock(path)).toThrow(alreadyRunning(path))
    first.close()
    openLock(path).close()
  })

  test('keeps another process out, and falls with it when it is killed', async () => {
    const path = join(makeDirectory(), 'postern.lock')
    const holder = await spawnHolder(path)
    try {
      expect(() => openLock(path)).toThrow(alreadyRunning(path))
    } finally {
      holder.kill('SIGKILL')
      await once(holder, 'exit')
    }
    openLock(path).close()
  })

  test('leaves readers alone', async () => {
    const directory = makeDirectory()
    const lock = openLock(join(directory, 'postern.lock'))
    const store = await openStore(join(directory, 'postern.db'))
    const reader = await openReader(join(directory, 'postern.db'))
    expect(await reader.head()).toBeUndefined()
    await reader.close()
    await store.close()
    lock.close()
  })

  test('cannot be held where there is no directory', () => {
    expect(() => openLock(join(makeDirectory(), 'none', 'postern.lock'))).toThrow(
      expect.objectContaining({ code: 'audit_unavailable' }),
    )
  })
})
