import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { startTrustService } from '../fakes/trust.ts'
import { ownLogin } from '../ssh/client.ts'
import { execute } from '../tools.ts'
import { type Host, startHost } from './host.ts'

// What the README tells people to paste is what is run here, against a real sshd.
const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const section = readme.slice(readme.indexOf('\n### Hosts\n'), readme.indexOf('\n### Which token'))
const blocks = [...section.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, kind, text]) => ({
  kind,
  text: text as string,
}))

const dir = mkdtempSync(join(tmpdir(), 'postern-readme-'))
const service = await startTrustService({ dir })
service.tell({ logins: [ownLogin] })
const key = join(dir, 'key')
await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
const certificate = await service.certify(key, 'own', 5, `${ownLogin}@web-1.example.com`)
const hosts: Host[] = []
afterAll(async () => {
  await Promise.all(hosts.map(({ sshd }) => sshd.stop()))
  await service.close()
  rmSync(dir, { recursive: true })
})
const start = async (): Promise<Host> => {
  const at = join(dir, `${hosts.length}`)
  const host = await startHost({ name: 'web-1.example.com', dir: at, service })
  hosts.push(host)
  return host
}
/** The text with this host's root and service in place of the README's. */
const adapt = ({ root }: Host, text: string): string =>
  text
    .replaceAll('/etc/ssh/', `${root}/etc/ssh/`)
    .replaceAll('/usr/local/', `${root}/usr/local/`)
    .replaceAll('https://postern.example.com', service.url)
    .replaceAll(/TOKEN=…/g, `TOKEN=${service.token}`)
    .replaceAll('-- TOKEN', `-- ${service.token}`)

test('the steps by hand make a host that takes certificates, and can be undone', async () => {
  const steps = blocks.find(({ text }) => text.startsWith('set -e\n'))?.text as string
  const host = await start()
  const { code, stderr } = await execute('sh', ['-c', adapt(host, steps)], { env: host.env })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(await host.isOpenTo({ key, certificate })).toBe(true)
  expect((await host.run(['doctor'])).code).toBe(0)
  expect((await host.run(['remove'])).code).toBe(0)
  expect(await host.isOpenTo({ key, certificate })).toBe(false)
  expect(await host.isOpenToAdmin()).toBe(true)
})

test('the line for cloud-init enrols a host by the name it has', async () => {
  const { text } = blocks.find(({ kind }) => kind === 'yaml') as { readonly text: string }
  const { runcmd } = parse(text) as { readonly runcmd: readonly [string] }
  const host = await start()
  const line = adapt(host, runcmd[0]).replace('$(hostname -f)', host.name)
  const { code, stderr } = await execute('sh', ['-c', line], { env: host.env })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(await host.isOpenTo({ key, certificate })).toBe(true)
})

test('the one command is the one that an invitation prints', () => {
  expect(blocks.map(({ text }) => text)).toContain(
    'curl -fsS https://postern.example.com/enrol | sh -s -- TOKEN\n',
  )
})
