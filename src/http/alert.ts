import type { AllowEntry } from '../audit/index.ts'
import type { Logger } from '../lib/log.ts'
import type { Metrics } from './metrics.ts'

/** Tells of a certificate by a rule that says `alert: true`: the loudest line there is, and a figure. */
export const createAlert = (deps: {
  readonly logger: Logger
  readonly metrics: Metrics
}): ((entry: AllowEntry) => void) => {
  const { logger, metrics } = deps
  return ({ request, rule, identity, ask }) => {
    metrics.countAlert()
    const { issuer, subject, name } = identity
    const { host, login, reason } = ask
    const who = { rule: rule.name, issuer, subject, name }
    logger.error(
      { requestId: request.id, ...who, host, login, reason },
      'alert: a certificate was issued',
    )
  }
}
