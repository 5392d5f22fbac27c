import { expect, test } from 'vitest'
import { createAlert } from '../../src/http/alert.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { createLogger } from '../../src/lib/log.ts'
import { allowEntry } from '../fakes/entries.ts'

test('an alert is an error in the log, with who, what and why, and a figure', async () => {
  const lines: string[] = []
  const metrics = createMetrics(false)
  const logger = createLogger('error', { write: (line) => lines.push(line) })
  const alert = createAlert({ logger, metrics })
  expect(await metrics.format()).toContain('\npostern_alerts_total 0\n')

  const { ask } = allowEntry(1)
  alert(allowEntry(1, { ask: { ...ask, reason: 'OPS-1: the disk is full' } }))
  expect(await metrics.format()).toContain('\npostern_alerts_total 1\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      level: 'error',
      time: expect.any(String),
      requestId: 'req_1',
      rule: 'deploy-job',
      issuer: 'https://idp.example.com',
      subject: 'u-1',
      name: 'maya',
      host: 'web-1.example.com',
      login: 'deploy',
      reason: 'OPS-1: the disk is full',
      msg: 'alert: a certificate was issued',
    },
  ])
})
