import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Makes directories that are gone when the file's tests are done. */
export const useDirectories = (): (() => string) => {
  const made: string[] = []
  afterAll(() => {
    for (const path of made) rmSync(path, { recursive: true, force: true })
  })
  return () => {
    const path = mkdtempSync(join(tmpdir(), 'postern-'))
    made.push(path)
    return path
  }
}
