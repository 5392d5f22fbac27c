import { z } from 'zod'
import { checkedText, chooseShape, filledList, strictShape } from '../lib/shape.ts'
import { cidr, duration, isMap } from './values.ts'

/** What the deciding rule asks for beyond its selectors. Durations in seconds. */
export interface RequireShape {
  /** A second factor; or one whose login is no older than this. */
  readonly mfa?: true | number | undefined
  readonly reason?: ReasonShape | undefined
  readonly callerAddresses?: readonly string[] | undefined
  readonly tokenMaxAge?: number | undefined
  readonly proof?: true | undefined
}

export interface ReasonShape {
  /** Characters, with runs of white space counted as one. */
  readonly minLength?: number | undefined
  /** Shapes of tickets, `OPS-9999`: one of them must stand in the reason. */
  readonly ticket?: readonly string[] | undefined
}

/** The longest reason an ask may carry. */
export const maxReason = 512

const ticket = checkedText((text) =>
  /^(?=.*9)[A-Za-z9#_/.-]{1,64}$/.test(text)
    ? undefined
    : 'must be the shape of a ticket, as OPS-9999: a 9 stands for any digit, other digits for nothing',
)

const tickets = filledList(ticket)

const reason = strictShape(
  {
    minLength: z
      .int({ error: `must be a whole number from 1 to ${maxReason}` })
      .min(1, `must be a whole number from 1 to ${maxReason}`)
      .max(maxReason, `must be a whole number from 1 to ${maxReason}`)
      .optional(),
    ticket: chooseShape<readonly string[]>(
      (value) => (Array.isArray(value) ? tickets : ticket.transform((one) => [one])),
      { forms: () => [ticket, tickets] },
    ).optional(),
  },
  'reason',
).superRefine((shape, context) => {
  if (Object.keys(shape).length === 0) {
    context.addIssue({ code: 'custom', message: 'asks for nothing: add minLength or ticket' })
  }
})

const onlyTrue = z.literal(true, { error: 'must be true, or left out' })

const anyFactor = z.literal(true, { error: 'must be true, or an age as 15m' })

const mfa = chooseShape<true | number>(
  (value) => (typeof value === 'string' ? duration : anyFactor),
  { forms: () => [anyFactor, duration] },
)

/** The schema of `require`. */
export const requirement = chooseShape<RequireShape>(
  (value) =>
    isMap(value) && Object.keys(value).length === 0
      ? z.custom<RequireShape>(() => false, {
          error: 'asks for nothing; name something or leave it out',
        })
      : requireShape,
  { forms: () => [requireShape] },
)

const requireShape = strictShape(
  {
    mfa: mfa.optional(),
    reason: reason.optional(),
    callerAddresses: filledList(cidr).max(64, 'holds more than 64 blocks').optional(),
    tokenMaxAge: duration.optional(),
    proof: onlyTrue.optional(),
  },
  'require',
)
