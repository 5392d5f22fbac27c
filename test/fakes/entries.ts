import { formatEntry, noHash } from '../../src/audit/entry.ts'
import type { AllowEntry, DenyEntry, Entry, StartEntry } from '../../src/audit/index.ts'
import type { Head, Row } from '../../src/audit/store.ts'

/** The allow entry of the n-th request: every n has its own serial, subject and host. */
export const allowEntry = (n: number, more: Partial<AllowEntry> = {}): AllowEntry => ({
  type: 'allow',
  time: '2026-11-22T10:00:00Z',
  policy: 'f'.repeat(64),
  request: { id: `req_${n}`, address: '192.0.2.1' },
  identity: {
    kind: 'oidc',
    issuer: 'https://idp.example.com',
    subject: `u-${n}`,
    name: 'maya',
    groups: ['platform'],
    claims: { sub: `u-${n}` },
    mfa: false,
  },
  lookUps: [],
  ask: { host: `web-${n}.example.com`, login: 'deploy', fingerprint: 'SHA256:key' },
  rule: { name: 'deploy-job', file: 'policies/web.yaml', line: 7 },
  certificate: {
    serial: (2n ** 62n + BigInt(n)).toString(),
    keyId: `oidc:idp.example.com:u-${n}:maya/deploy-job/req_${n}`,
    principals: [`deploy@web-${n}.example.com`],
    validAfter: '2026-11-22T09:59:00Z',
    validBefore: '2026-11-22T10:05:00Z',
    criticalOptions: {},
    extensions: { 'permit-pty': '' },
    ca: 'SHA256:ca',
    text: 'ssh-ed25519-cert-v01@openssh.com AAAA',
  },
  ...more,
})

export const denyEntry = (n: number, more: Partial<DenyEntry> = {}): DenyEntry => ({
  type: 'deny',
  time: '2026-11-22T10:00:00Z',
  request: { id: `req_${n}`, address: '192.0.2.1' },
  code: 'policy_denied',
  reason: 'No rule lets you do this.',
  detail: 'nothing matches',
  ...more,
})

export const startEntry: StartEntry = {
  type: 'start',
  time: '2026-11-22T09:00:00Z',
  version: '0.1.0',
  ca: 'SHA256:ca',
}

/** Rows for the entries, after `head`. */
export const chainRows = (entries: readonly Entry[], head?: Head): readonly Row[] => {
  const rows: Row[] = []
  let { seq, hash } = head ?? { seq: 0, hash: noHash }
  for (const entry of entries) {
    const row = formatEntry(entry, seq + 1, hash)
    rows.push(row)
    ;({ seq, hash } = row)
  }
  return rows
}

/** A row as the head it makes. */
export const headOf = (rows: readonly Row[]): Head | undefined => {
  const row = rows.at(-1)
  return row && { seq: row.seq, hash: row.hash }
}
