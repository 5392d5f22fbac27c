import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readSecret } from '../../src/config.ts'
import { useDirectories } from '../fakes/directory.ts'

const createDirectory = useDirectories()

const write = (text: string | Uint8Array, mode = 0o600): string => {
  const path = join(createDirectory(), 'secret')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

describe('a secret file', () => {
  test.each([
    ['s3cret', 's3cret'],
    ['s3cret\n', 's3cret'],
    ['s3cret\r\n', 's3cret'],
    ['two\n\n', 'two\n'],
    [' spaces stay ', ' spaces stay '],
  ])('that holds %j is the secret %j', async (text, secret) => {
    expect(await readSecret(write(text))).toBe(secret)
  })

  test.each([0o644, 0o640, 0o660, 0o604, 0o602, 0o610])(
    'of mode %o is refused (ATTACKS 333, 338)',
    async (mode) => {
      const path = write('s3cret', mode)
      await expect(readSecret(path)).rejects.toMatchObject({
        code: 'invalid_config',
        message: `The secret file ${path} can be read or written by others.`,
        hint: `chmod 600 ${path}`,
      })
    },
  )

  test('is judged behind a symlink', async () => {
    const target = write('s3cret', 0o644)
    symlinkSync(target, `${target}.link`)
    await expect(readSecret(`${target}.link`)).rejects.toMatchObject({
      message: `The secret file ${target}.link can be read or written by others.`,
    })
  })

  test('among systemd’s credentials may have the bits of its access list, and no more', async () => {
    const path = write('s3cret', 0o440)
    expect(await readSecret(path, join(path, '..'))).toBe('s3cret')
    chmodSync(path, 0o444)
    await expect(readSecret(path, join(path, '..'))).rejects.toMatchObject({
      message: `The secret file ${path} can be read or written by others.`,
    })
  })

  test.each([
    ['', 'is empty'],
    ['\n', 'is empty'],
    [new Uint8Array([0xff, 0xfe]), 'is not text'],
    ['x'.repeat(64 * 1024 + 1), 'is larger than 64 KiB'],
  ])('that holds nothing to use is refused', async (text, what) => {
    const path = write(text)
    await expect(readSecret(path)).rejects.toMatchObject({
      code: 'invalid_config',
      message: `The secret file ${path} ${what}.`,
    })
  })

  test('that is none is refused: nothing there, a directory, a pipe nobody writes to', async () => {
    const dir = createDirectory()
    const [absent, directory, pipe] = [join(dir, 'a'), join(dir, 'd'), join(dir, 'p')]
    mkdirSync(directory)
    execFileSync('mkfifo', ['-m', '600', pipe])
    const messages = await Promise.all(
      [absent, directory, pipe].map((path) =>
        readSecret(path).catch((error: Error) => error.message.replace(path, 'FILE')),
      ),
    )
    expect(messages).toEqual([
      'The secret file FILE cannot be read.',
      'The secret file FILE is not a file.',
      'The secret file FILE is not a file.',
    ])
  })
})
