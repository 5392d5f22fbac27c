/**
 * Two hundred connections to a process that may have sixty files open: accepting fails with EMFILE.
 * It must live, and serve again as soon as there is room. ATTACKS 185
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openSocket } from '../http/raw.ts'

const program = fileURLToPath(new URL('../http/listener.ts', import.meta.url))

test('running out of file descriptors does not end the service, and it serves again', async () => {
  const child = spawn('prlimit', ['--nofile=60:60', process.execPath, program], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', () => reject(new Error('prlimit is missing: apt-get install util-linux')))
    child.once('exit', (code) => reject(new Error(`the listener ended with ${code}`)))
  })
  failed.catch(() => {})
  const url = await Promise.race([
    new Promise<string>((resolve) => {
      child.stdout.once('data', (chunk) => resolve(String(chunk).trim()))
    }),
    failed,
  ])
  const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(url)))
  await new Promise((resolve) => setTimeout(resolve, 200))
  for (const socket of sockets) socket.destroy()
  const status = async () => (await fetch(`${url}/metrics`).catch(() => undefined))?.status
  await Promise.race([expect.poll(status, { timeout: 10_000 }).toBe(200), failed])
  expect(child.exitCode).toBeNull()
  child.removeAllListeners('exit')
  child.stdin.end()
})
