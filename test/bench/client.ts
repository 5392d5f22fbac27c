import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type * as sdk from '../../src/client/index.ts'
import { systemRandom } from '../../src/lib/ids.ts'
import { logIn, ownLogin } from '../ssh/client.ts'
import { startSshd } from '../ssh/sshd.ts'
import { createSite, type Site, startService } from './service.ts'

export interface ClientFigures {
  /** What was done, by the SDK and by plain ssh with a certificate that was there already. */
  readonly what: string
  readonly sdkMillis: number
  readonly sshMillis: number
}

export interface TransferFigures {
  readonly what: string
  readonly bytes: number
  readonly millis: number
  /** CPU of this process, the SDK's half. */
  readonly cpuMillis: number
  /** SHA-256 of what came is that of what went. */
  readonly isExact: boolean
}

const host = 'web-1.example.com'
/** As it is shipped. */
const entry = new URL('../../dist/client/index.js', import.meta.url).href

/** The SDK beside plain ssh, against one sshd on loopback, in turns. */
export const measureClient = async (given: {
  readonly commands: number
  readonly bytes: number
}): Promise<{
  readonly runs: readonly ClientFigures[]
  readonly transfers: readonly TransferFigures[]
}> => {
  const { createClient } = (await import(entry)) as typeof sdk
  const site = await createSite()
  writeRule(site)
  await fixPort(site)
  const service = await startService(site)
  const ca = await (await fetch(`${service.url}/v1/ca/user.pub`)).text()
  const sshd = await startSshd({
    name: host,
    dir: join(site.dir, 'host'),
    caKeys: [ca.trim()],
    logins: { [ownLogin]: [`${ownLogin}@${host}`] },
  })
  const options = {
    token: () => service.mintTokens(1)[0] as string,
    host,
    login: ownLogin,
    address: '127.0.0.1',
    port: sshd.port,
    knownHosts: `${host} ${sshd.hostKey}`,
  }
  const client = createClient({ url: service.url })
  try {
    const issued = await client.issue(options)
    const key = join(site.dir, 'ready')
    writeFileSync(key, issued.key.exportPrivateKey())
    chmodSync(key, 0o600)
    writeFileSync(`${key}-cert.pub`, `${issued.certificate}\n`)
    const runSsh = async () => {
      const { code } = await logIn({ sshd, key, certificate: `${key}-cert.pub`, command: 'true' })
      if (code !== 0) throw new Error(`ssh ended with ${code}`)
    }
    const runSdk = async () => {
      const session = await client.connect(options)
      await session.exec(['true'])
      await session.close()
    }
    await runSdk()
    await runSsh()
    const turns = { sdk: [] as number[], ssh: [] as number[] }
    for (let turn = 0; turn < 15; turn++) {
      turns.sdk.push(await time(runSdk))
      turns.ssh.push(await time(runSsh))
    }
    const { commands } = given
    const many = await time(async () => {
      const session = await client.connect(options)
      for (let at = 0; at < commands; at++) await session.exec(['true'])
      await session.close()
    })
    const manySsh = await time(async () => {
      for (let at = 0; at < commands; at++) await runSsh()
    })
    const session = await client.connect(options)
    const transfers = [
      await measureTransfer('cat, both ways', given.bytes, (content) =>
        session
          .exec(['cat'], { stdin: content, maxOutput: content.length })
          .then((ending) => ending.stdoutBytes),
      ),
      await measureTransfer('put, then get', given.bytes, async (content) => {
        const path = join(site.dir, 'file')
        await session.put(path, content)
        return session.get(path, { maxOutput: content.length })
      }),
    ]
    await session.close()
    return {
      runs: [
        {
          what: 'certificate, login, one command',
          sdkMillis: median(turns.sdk),
          sshMillis: median(turns.ssh),
        },
        { what: `${commands} commands in a row`, sdkMillis: many, sshMillis: manySsh },
      ],
      transfers,
    }
  } finally {
    await sshd.stop()
    await service.stop()
    site.remove()
  }
}

const writeRule = (site: Site): void =>
  writeFileSync(
    join(site.dir, 'policies', 'sdk.yaml'),
    `rules:\n  - { name: sdk, who: [{ identities: those }], hosts: [${host}], logins: ["${ownLogin}"], ttl: 15m }\n`,
  )

/** A proof is made for the publicUrl, so the port is settled beforehand. */
const fixPort = async ({ dir }: Site): Promise<void> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const file = join(dir, 'postern.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('127.0.0.1:0', `127.0.0.1:${port}`))
}

const time = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await work()
  return performance.now() - started
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const measureTransfer = async (
  what: string,
  bytes: number,
  carry: (content: Uint8Array) => Promise<Uint8Array>,
): Promise<TransferFigures> => {
  const content = systemRandom(bytes)
  const before = process.cpuUsage()
  let received = new Uint8Array()
  const millis = await time(async () => {
    received = new Uint8Array(await carry(content))
  })
  const { user, system } = process.cpuUsage(before)
  const isExact = hash(received) === hash(content)
  return { what, bytes, millis, cpuMillis: (user + system) / 1000, isExact }
}
