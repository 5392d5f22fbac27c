import { z } from '@hono/zod-openapi'
import { AppError } from '../../errors.ts'
import type { Hosts } from '../../hosts/index.ts'
import { parseAddress } from '../../lib/address.ts'
import { type Clock, formatTime } from '../../lib/clock.ts'
import { formatDuration } from '../../lib/duration.ts'
import type { Explainer, Policy, Preview, Question } from '../../policy/index.ts'
import { checkShape, type MemberErrors, readJson } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { answerJson } from '../errors.ts'
import type { CheckRole } from '../roles.ts'
import { askMistakes, askSchema, parseAsk } from './certificates.ts'
import type { IdentityRoute } from './index.ts'

const isTime = (text: string): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text) &&
  !Number.isNaN(Date.parse(text))

const questionSchema = askSchema
  .pick({ host: true, login: true, ttl: true, command: true, reason: true })
  .extend({
    proof: z.boolean().optional().openapi({
      description: 'As if the ask came with a proof of possession.',
    }),
    who: z
      .looseObject({})
      .optional()
      .openapi({
        description:
          'Somebody else, as the tests of a policy write one: their memberships are what is said here. For the role admin, and so are `at` and `from`, with which the rules are told of in full.',
        example: { github: { id: '583231', teams: ['acme/dev'] } },
      }),
    at: z.string().refine(isTime).optional().openapi({
      format: 'date-time',
      description: 'As if it were this time.',
    }),
    from: z
      .string()
      .refine((text) => parseAddress(text) === text)
      .optional()
      .openapi({ description: 'As if the request came from this address.' }),
  })
  .openapi('ExplainQuestion')

const mistakes = {
  ...askMistakes,
  proof: { code: 'invalid_request', message: 'The proof is not true or false: send one of them.' },
  who: {
    code: 'invalid_request',
    message:
      'The who is no person: send {"github": {"id": …, "teams": […]}} or {"oidc": {"issuer": …, "subject": …}}, as the tests of a policy write one.',
  },
  at: {
    code: 'invalid_request',
    message: 'The at is not a time: send it with its offset, like "2026-11-22T10:00:00Z".',
  },
  from: { code: 'invalid_request', message: 'The from is not an IP address, like "192.0.2.7".' },
} as const satisfies MemberErrors

const ruleSchema = z.object({
  name: z.string(),
  file: z.string().optional().openapi({ description: 'For the role admin.' }),
  line: z.number().int().optional(),
})

const explanationSchema = z
  .object({
    decision: z.enum(['allow', 'deny']),
    rule: ruleSchema.optional().openapi({ description: 'The rule that decides.' }),
    code: z.string().optional(),
    reason: z.string().optional(),
    rules: z
      .array(
        z.object({
          rule: ruleSchema,
          kind: z.enum(['allow', 'deny']),
          outcome: z.enum(['decides', 'passed', 'unread']),
          conditions: z.array(
            z.object({
              key: z.string(),
              isMet: z.boolean(),
              wanted: z.string(),
              seen: z.string(),
              reason: z.string().optional(),
            }),
          ),
        }),
      )
      .openapi({ description: 'In the order in which they are read.' }),
    advice: z.array(z.string()).openapi({ description: 'What would change the answer.' }),
    certificate: z
      .object({
        principals: z.array(z.string()),
        ttl: z.string(),
        validBefore: z.string().openapi({ format: 'date-time' }),
        endsWith: z.enum(['ttl', 'when', 'token']),
        criticalOptions: z.record(z.string(), z.string()),
        extensions: z.record(z.string(), z.string()),
      })
      .optional()
      .openapi({ description: 'What would be written; never a certificate.' }),
  })
  .openapi('Explanation')

const formatPreview = (preview: Preview | undefined) => {
  if (preview === undefined) return {}
  const { principals, ttlSeconds, validBefore, endsWith, criticalOptions, extensions } = preview
  return {
    certificate: {
      principals,
      ttl: formatDuration(ttlSeconds),
      validBefore: formatTime(validBefore),
      endsWith,
      criticalOptions,
      extensions,
    },
  }
}

/**
 * `POST /v1/explain`: why an ask would be answered as it would be. Anybody about themselves; the role
 * admin, and without a token whoever comes through the admin socket, about anybody and in full. It changes nothing, so it is no entry; only that somebody asked
 * about others without the role is.
 */
export const createExplainRoute = (deps: {
  readonly explainer: Explainer
  readonly currentPolicy: () => Policy
  readonly checkRole: CheckRole
  readonly hosts: Pick<Hosts, 'resolve'>
  readonly clock: Clock
}): IdentityRoute => {
  const { explainer, checkRole } = deps

  const readDescribed = (who: unknown, at: Date) => {
    const person = explainer.readPerson(who, at)
    if (person.ok) return person
    throw new AppError(mistakes.who.code, mistakes.who.message, {
      detail: person.problems.join('; '),
    })
  }

  /** Everything, about anybody: for the role admin. */
  const explainInFull = (c: HttpContext, question: Question): Response => {
    const { decision, certificate, rules, advice } = explainer.explain(
      deps.currentPolicy(),
      question,
    )
    const { kind, rule } = decision
    return answerJson(c, 200, {
      decision: kind,
      ...(rule === undefined ? {} : { rule }),
      ...(decision.kind === 'deny' ? { code: decision.code, reason: decision.reason } : {}),
      rules,
      advice,
      ...formatPreview(certificate),
    })
  }

  return {
    method: 'post',
    path: '/v1/explain',
    access: 'identity',
    summary: 'Why an ask is answered as it is',
    description:
      'Says of each rule for that host and login what it wants and what it was given, and what would change the answer: to anybody about themselves, naming the groups that are needed; to the role admin about anybody, all of it. Nothing is issued.',
    body: {
      schema: questionSchema,
      example: { host: 'db-1.example.com', login: 'deploy' },
    },
    answers: [
      {
        status: 200,
        description: 'The explanation.',
        contentType: 'application/json',
        schema: explanationSchema,
        example: {
          decision: 'deny',
          code: 'policy_denied',
          reason:
            'No rule lets you log in to db-1.example.com as deploy. POST /v1/explain says which groups would matter, and an administrator can add a rule.',
          rules: [
            {
              rule: { name: 'ops' },
              kind: 'allow',
              outcome: 'passed',
              conditions: [
                {
                  key: 'who',
                  isMet: false,
                  wanted: 'team acme/ops',
                  seen: 'GitHub user 583231 (maya), in team acme/dev',
                },
              ],
            },
          ],
          advice: [
            'Rule ops needs team acme/ops; has GitHub user 583231 (maya), in team acme/dev.',
          ],
        },
      },
    ],
    failures: [
      'body_too_large',
      'unsupported_media_type',
      'invalid_host',
      'invalid_login',
      'invalid_ttl',
      'role_required',
      'subject_revoked',
      'insufficient_scope',
    ],
    async handle(c, caller) {
      const body = checkShape(questionSchema, await readJson(c), mistakes)
      const isForAdmin = [body.who, body.at, body.from].some((member) => member !== undefined)
      const { who, ...question } = parseQuestion(body, deps.clock(), deps.hosts)
      if (isForAdmin) await checkRole(c, caller, 'admin')
      const { address } = c.get('facts')
      if (who !== undefined) {
        // Nobody knows from where somebody else would ask.
        return explainInFull(c, { ...question, ...readDescribed(who, question.at) })
      }
      const policy = deps.currentPolicy()
      const { identity } = caller
      const asked = policy.listQuestions(identity, question.ask, question.at)
      const memberships = await caller.findMemberships(asked)
      const own = { address, ...question, identity, memberships }
      if (isForAdmin) return explainInFull(c, own)
      const { certificate, rules, ...told } = explainer.explainToCaller(policy, own)
      return answerJson(c, 200, {
        ...told,
        rules: rules.map(({ rule, ...trace }) => ({ rule: { name: rule }, ...trace })),
        ...formatPreview(certificate),
      })
    },
    async handleLocal(c) {
      const body = checkShape(questionSchema, await readJson(c), mistakes)
      const { who, ...question } = parseQuestion(body, deps.clock(), deps.hosts)
      // A local admin is nobody that a rule could name.
      if (who === undefined) throw new AppError(mistakes.who.code, whoMissing)
      return explainInFull(c, { ...question, ...readDescribed(who, question.at) })
    },
  }
}

const whoMissing = `Here it must be said about whom: add "who", as {"github": {"id": …, "teams": […]}} or {"oidc": {"issuer": …, "subject": …}}.`

const parseQuestion = (
  body: z.output<typeof questionSchema>,
  now: Date,
  hosts: Pick<Hosts, 'resolve'>,
): Omit<Question, 'identity' | 'memberships'> & { readonly who: unknown } => {
  const { who, at, from, proof } = body
  return {
    who,
    ask: parseAsk(body, hosts),
    at: at === undefined ? now : new Date(at),
    ...(from === undefined ? {} : { address: from }),
    hasProof: proof === true,
  }
}
