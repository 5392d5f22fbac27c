import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startTestApp } from '../app.ts'
import { createSite, startService } from './service.ts'

export interface Polls {
  readonly hosts: number
  readonly perSecond: number
  readonly cpuMicros: number
  /** The same over HTTP on loopback, of the service as a process of its own. */
  readonly overHttp: { readonly perSecond: number; readonly cpuMicros: number }
}

const count = 10_000
const connections = 16

/**
 * Hosts that ask for their trust bundle and have it already: each is answered 304. In process, through
 * the whole door but the socket, one after another: what the service itself takes for each. Then over
 * HTTP, where a client takes one of the cores.
 */
export const measurePolls = async (seconds: number): Promise<Polls> => {
  const names = Array.from({ length: count }, (_, n) => `host-${n}.example.com`)
  const hosts = names.map((name) => `  - { name: ${name}, logins: [deploy] }\n`).join('')
  const service = await startTestApp({
    policies: () => ({ 'hosts.yaml': `hosts:\n${hosts}rules: []\n` }),
    level: 'error',
  })
  try {
    const url = (name: string) => `https://postern.example.com/v1/hosts/${name}/trust`
    const first = await service.app.fetch(new Request(url(names[0] as string)))
    const etag = first.headers.get('etag') ?? ''
    const headers = { 'if-none-match': etag }
    const cpu = process.cpuUsage()
    const start = performance.now()
    let asked = 0
    while (performance.now() - start < seconds * 1000) {
      const { status } = await service.app.fetch(
        new Request(url(names[asked % count] as string), { headers }),
      )
      if (status !== 304) throw new Error(`a poll was answered ${status}`)
      asked++
    }
    const millis = performance.now() - start
    const { user, system } = process.cpuUsage(cpu)
    return {
      hosts: count,
      perSecond: (asked * 1000) / millis,
      cpuMicros: (user + system) / asked,
      overHttp: await measureOverHttp(`hosts:\n${hosts}`, names, seconds),
    }
  } finally {
    await service.close()
  }
}

/** Answers a second, and the service's CPU for each. */
const measureOverHttp = async (hosts: string, names: readonly string[], seconds: number) => {
  const site = await createSite()
  writeFileSync(join(site.dir, 'policies', 'hosts.yaml'), hosts)
  const service = await startService(site)
  try {
    const { host, hostname, port } = new URL(service.url)
    const first = await fetch(`${service.url}/v1/hosts/${names[0]}/trust`)
    const etag = first.headers.get('etag') ?? ''
    const format = (name: string) =>
      `GET /v1/hosts/${name}/trust HTTP/1.1\r\nhost: ${host}\r\nif-none-match: ${etag}\r\n\r\n`
    const before = service.readUsage()
    const start = performance.now()
    let asked = 0
    /** By hand, for a client of node:http takes several times as long as the answer. */
    const poll = () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect({ host: hostname, port: Number(port) })
        const next = () => void socket.write(format(names[asked++ % count] as string))
        let text = ''
        socket.setNoDelay(true).once('connect', next).once('error', reject)
        socket.on('data', (bytes) => {
          text += bytes.toString('latin1')
          if (!text.endsWith('\r\n\r\n')) return
          if (!text.startsWith('HTTP/1.1 304 ')) reject(new Error(text))
          text = ''
          if (performance.now() - start < seconds * 1000) next()
          else socket.end(resolve)
        })
      })
    await Promise.all(Array.from({ length: connections }, poll))
    const millis = performance.now() - start
    const cpuMicros = (service.readUsage().cpuMicros - before.cpuMicros) / asked
    return { perSecond: (asked * 1000) / millis, cpuMicros }
  } finally {
    await service.stop()
    site.remove()
  }
}
