import { expect } from 'vitest'
import type { Outcome } from '../tools.ts'
import type { Sshd } from './sshd.ts'

/** Why an sshd refuses a certificate, in its own words. */
export const refusals = {
  principal: /Certificate does not contain an authorized principal/,
  /** An sshd that isn't root's refuses any other login earlier, for it can't look it up. */
  login: /Certificate does not contain an authorized principal|User \S+ not allowed/,
  expired: /Certificate invalid: expired/,
  early: /Certificate invalid: not yet valid/,
  address: /not from a permitted source address/,
} as const

/** A login that must be refused, by this host for this reason. */
export const expectRefused = async (
  sshd: Sshd,
  logIn: () => Promise<Outcome>,
  reason: RegExp,
): Promise<void> => {
  const before = sshd.readLog().length
  const { code, stdout, stderr } = await logIn()
  expect({ code, stdout }).toEqual({ code: 255, stdout: '' })
  expect(stderr).toContain('Permission denied (publickey)')
  await sshd.waitForLog(reason, before)
}
