import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { createSerial, systemRandom } from '../../src/lib/ids.ts'
import { encodeKrl } from '../../src/ssh/krl.ts'
import { encodePublicKey } from '../../src/ssh/native.ts'
import { startHost } from '../hosts/host.ts'
import { startHostService } from '../hosts/service.ts'
import { execute } from '../tools.ts'

export interface KrlFigures {
  readonly what: string
  readonly serials: number
  readonly bytes: number
  /** The median of nine. */
  readonly millis: number
}

const count = 100_000
const sequences: Readonly<Record<string, (at: number) => bigint>> = {
  'in a row': (at) => BigInt(at + 1),
  'one of seven': (at) => BigInt(at * 7 + 1 + (at % 5)),
  'at random, as ours are': () => createSerial(systemRandom),
}

/** How large a KRL of 100,000 serials is, and how long it takes to make. */
export const measureKrl = (): readonly KrlFigures[] => {
  const authority = encodePublicKey(generateKeyPairSync('ed25519').publicKey) as Uint8Array
  return Object.entries(sequences).map(([what, serial]) => {
    const serials = Array.from({ length: count }, (_, at) => serial(at))
    const times: number[] = []
    let bytes = 0
    for (let round = 0; round < 9; round++) {
      const start = performance.now()
      bytes = encodeKrl({
        version: 1n,
        generated: 0,
        certificates: [{ authority, serials }],
      }).length
      times.push(performance.now() - start)
    }
    return { what, serials: count, bytes, millis: times.sort((a, b) => a - b)[4] ?? Number.NaN }
  })
}

/**
 * From the order to revoke until a real sshd refuses the certificate, in milliseconds: a host that has enrolled
 * and runs `postern-host apply` at this interval, and somebody who tries to log in all the time.
 */
export const measureRefusal = async (intervalMillis: number): Promise<number> => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-bench-'))
  const service = await startHostService()
  const name = 'web-1.example.com'
  const host = await startHost({ name, dir, service: await service.invite(name) })
  const stopped = new AbortController()
  let polling: Promise<unknown> = Promise.resolve()
  try {
    const enrolled = await host.enrol()
    if (enrolled.code !== 0) throw new Error(enrolled.stderr)
    polling = (async () => {
      for (;;) {
        await wait(intervalMillis, undefined, { signal: stopped.signal })
        await host.run(['apply'])
      }
    })().catch(() => {})
    const key = join(dir, 'key')
    await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
    const { certificate, serial } = await service.buy(key, name)
    const isIn = () => host.isOpenTo({ key, certificate })
    if (!(await isIn())) throw new Error('the certificate does not log in')
    const start = performance.now()
    await service.call('POST', '/v1/revocations', { serial, reason: 'a figure' })
    while (await isIn()) await wait(50)
    return performance.now() - start
  } finally {
    stopped.abort()
    await polling
    await Promise.all([host.sshd.stop(), service.close()])
    rmSync(dir, { recursive: true })
  }
}
