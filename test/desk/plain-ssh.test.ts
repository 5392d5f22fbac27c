import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownLogin } from '../ssh/client.ts'
import type { Sshd } from '../ssh/sshd.ts'
import {
  createHome,
  hostName,
  logInAs,
  run,
  startHost,
  startService,
  writeSshConfig,
} from './desk.ts'

const home = createHome()
let service: Awaited<ReturnType<typeof startService>>
let sshd: Sshd
let config: string

beforeAll(async () => {
  service = await startService()
  sshd = await startHost(join(home.dir, 'host'), service.ca)
  await logInAs(home, service.service, service.url)
  config = writeSshConfig(home, sshd)
  const { code } = await home.postern(['ssh-config', '--install', '--hosts', 'web-*.example.com'])
  expect(code).toBe(0)
})
afterAll(async () => {
  await home.close()
  await sshd?.stop()
  await service?.service.close()
})

const target = `${ownLogin}@${hostName}`

describe('what builds on ssh', () => {
  test('ssh logs in, with a certificate from the agent of ours', async () => {
    const before = sshd.readLog().length
    expect(await run(home, 'ssh', ['-F', config, target, 'id -un'])).toEqual({
      code: 0,
      stdout: `${ownLogin}\n`,
      stderr: '',
    })
    await sshd.waitForLog(/Accepted publickey for \S+ .* ED25519-CERT .* ID oidc:/, before)
  })
})
