import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { backupLog } from '../../src/app/backup.ts'
import { startTestApp } from '../app.ts'

test('a backup whose name is taken at the last moment leaves no checkpoint of it', async () => {
  const service = await startTestApp()
  try {
    const target = join(service.dir, 'copy.db')
    const takeName = () => mkdirSync(target, { recursive: true })
    const made = backupLog(service.config, target, takeName)
    await expect(made).rejects.toMatchObject({ code: 'EISDIR' })
    expect(readdirSync(service.dir).filter((name) => name.startsWith('copy'))).toEqual(['copy.db'])
  } finally {
    await service.close()
  }
})
