import { startTestApp } from '../app.ts'

export interface Polls {
  readonly hosts: number
  readonly perSecond: number
  readonly cpuMicros: number
}

const count = 10_000

/**
 * Hosts that ask for their trust bundle and have it already: each is answered 304. In process, through
 * the whole door but the socket, one after another: what the service itself takes for each.
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
    const headers = { 'if-none-match': first.headers.get('etag') ?? '' }
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
    return { hosts: count, perSecond: (asked * 1000) / millis, cpuMicros: (user + system) / asked }
  } finally {
    await service.close()
  }
}
