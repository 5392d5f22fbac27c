import type { CertificateIntent } from '../../src/ca/index.ts'
import { parsePublicKey } from '../../src/ssh/keys.ts'
import { createPrivate, formatLine } from './keys.ts'

/** The time of these tests, in seconds since 1970. */
export const now = Date.UTC(2026, 10, 22, 10) / 1000
export const clock = () => new Date(now * 1000)
export const limits = { maxTtlSeconds: 3600, backdateSeconds: 60 }

const publicKey = parsePublicKey(formatLine(createPrivate('ssh-ed25519')))

/** A sound intent, changed in what a test is about. */
export const createSound = (change: Partial<CertificateIntent> = {}): CertificateIntent => ({
  publicKey,
  serial: 4611686018427387904n,
  keyId: 'github:583231:maya/runner-setup/req_1',
  principals: ['deploy@web-1.example.com'],
  validAfter: now - 60,
  validBefore: now + 300,
  criticalOptions: {},
  extensions: { 'permit-pty': '' },
  ...change,
})
