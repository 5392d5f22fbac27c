/**
 * CONNECT, and a reset before the answer is written: Node has taken its own listeners off that socket, and
 * an error that nobody hears would end the process. No token is needed to send it. ATTACKS 168
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openSocket } from '../http/raw.ts'

const program = fileURLToPath(new URL('../http/listener.ts', import.meta.url))

test('a CONNECT whose sender is gone does not end the service', async () => {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'ignore'] })
  const url = await new Promise<string>((resolve) => {
    child.stdout.once('data', (chunk) => resolve(String(chunk).trim()))
  })
  for (let at = 0; at < 100; at++) {
    const socket = await openSocket(url)
    await new Promise((resolve) => {
      socket.once('close', resolve)
      socket.write('CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n', () => socket.resetAndDestroy())
    })
  }
  const status = async () => (await fetch(`${url}/metrics`).catch(() => undefined))?.status
  expect(await status()).toBe(200)
  expect(child.exitCode).toBeNull()
  child.stdin.end()
})
