import { readFileSync } from 'node:fs'

/** How a server is asked for one certificate. A file of adapters/ exports one as `adapter`. */
export interface Adapter {
  /** The status of an answer that holds a certificate. */
  readonly issued: number
  formatRequest(given: { readonly token: string; readonly publicKey: string }): {
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
}

export interface Usage {
  readonly cpuMicros: number
  readonly rssBytes: number
}

/** What a load is put on. */
export interface Target {
  readonly url: string
  /** The certificate to trust where the URL is https, as PEM. */
  readonly ca?: string
  readonly adapter: Adapter
  /** The key to certify, `TYPE BASE64`. */
  readonly publicKey: string
  /** Tokens that it takes, never used before. */
  mintTokens(count: number): string[]
  /** Undefined where it runs elsewhere. */
  readUsage(): Usage | undefined
}

/** CPU and resident memory of a process, from proc(5): field 14 and 15 are user and system time in 1/100 s. */
export const readProcess = (pid: number): Usage => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  const ticks = Number(fields[11]) + Number(fields[12])
  return { cpuMicros: ticks * 10_000, rssBytes: Number(fields[21]) * 4096 }
}
