import { describe, expect, test } from 'vitest'
import type { Entry, Log } from '../src/audit/index.ts'
import type { Recent } from '../src/audit/recent.ts'
import type { Authority, CertificateIntent, PublicKey } from '../src/ca/index.ts'
import type { Proof } from '../src/ca/proof.ts'
import { AppError } from '../src/errors.ts'
import type { Caller, Identity, Memberships } from '../src/identity/index.ts'
import { noMemberships } from '../src/identity/index.ts'
import { createIssue } from '../src/issue.ts'
import type { Decision, Policy, Question } from '../src/policy/index.ts'

const at = new Date('2026-11-22T10:00:00Z')
const publicKey: PublicKey = {
  type: 'ssh-ed25519',
  blob: new Uint8Array(51),
  fingerprint: 'SHA256:key',
}
const identity: Identity = {
  kind: 'github',
  issuer: 'https://github.com',
  subject: '583231',
  name: 'maya',
  groups: [],
  claims: {},
  mfa: false,
}
const rule = { name: 'runner-setup', file: 'policies/runners.yaml', line: 7 }
const allow: Decision = {
  kind: 'allow',
  rule,
  grant: {
    principals: ['runner@runner-17.example.com'],
    ttlSeconds: 300,
    outliveToken: false,
    criticalOptions: { 'force-command': '/usr/local/sbin/runner-setup' },
    extensions: {},
  },
}

const unlimited: Recent = {
  settle: async () => {},
  useProof: () => true,
  takePlace: async () => ({ used: 1, release: () => {} }),
}

/** The parts around the use case, as small working records that note the order in which they are used. */
const compose = (given: {
  readonly decision?: Decision
  readonly identity?: Partial<Identity>
  readonly memberships?: Memberships
  readonly failLookUp?: AppError
  readonly failCertify?: Error
  readonly failAppend?: AppError
  readonly at?: () => Date
  readonly recent?: Recent
  readonly checkFrozen?: () => void
  readonly checkRevoked?: Parameters<typeof createIssue>[0]['checkRevoked']
}) => {
  const entries: Entry[] = []
  const steps: string[] = []
  const questions: Question[] = []
  const policy: Policy = {
    sha256: 'f'.repeat(64),
    files: {},
    ruleCount: 1,
    rules: [],
    hosts: [],
    createExaminer: () => () => [],
    listRoleQuestions: () => [],
    findRoles: () => new Set(),
    listQuestions: () => [{ kind: 'team', org: 'acme', team: 'platform' }],
    evaluate: (question) => {
      steps.push('evaluate')
      questions.push(question)
      return given.decision ?? allow
    },
  }
  const authority: Authority = {
    publicKey: 'ssh-ed25519 AAAA',
    fingerprint: 'SHA256:ca',
    certify: async (intent: CertificateIntent) => {
      steps.push('certify')
      if (given.failCertify !== undefined) throw given.failCertify
      return { text: 'ssh-ed25519-cert-v01@openssh.com AAAA', intent, ca: 'SHA256:ca' }
    },
    check: async () => ({ ok: true }),
    add: async () => ({ fingerprint: 'SHA256:ca', publicKey: 'ssh-ed25519 AAAA' }),
    has: () => true,
    prove: async () => {},
    drop: async () => {},
    close: async () => {},
  }
  const log: Log = {
    append: async (entry) => {
      steps.push(`append ${entry.type}`)
      if (given.failAppend !== undefined) throw given.failAppend
      entries.push(entry)
      return { seq: entries.length }
    },
    check: async () => ({ ok: true }),
    close: async () => {},
  }
  const caller: Caller = {
    identity: { ...identity, ...given.identity },
    findMemberships: async (asked) => {
      steps.push(`find ${asked.length}`)
      if (given.failLookUp !== undefined) throw given.failLookUp
      return given.memberships ?? noMemberships
    },
  }
  const issue = createIssue({
    findRules: () => {
      steps.push('policy')
      return { ...policy, takePlace: (given.recent ?? unlimited).takePlace }
    },
    checkFrozen: given.checkFrozen ?? (() => {}),
    checkRevoked: given.checkRevoked ?? (() => {}),
    checkHost: () => {},
    authority,
    log,
    clock: given.at ?? (() => at),
    random: (length) => new Uint8Array(length).fill(7),
    backdateSeconds: 60,
    recent: given.recent ?? unlimited,
    audience: 'https://postern.example.com',
    alert: (entry) => steps.push(`alert ${entry.rule.name}`),
  })
  const ask = {
    host: 'runner-17.example.com',
    login: 'runner',
    command: 'setup',
    reason: 'install runner',
  }
  const request = { id: 'req_1', address: '192.0.2.1' }
  return {
    entries,
    steps,
    questions,
    issue: (more: { readonly proof?: Proof } = {}) =>
      issue({ caller, ask, publicKey, request, ...more }),
  }
}

describe('issuing', () => {
  test('decides, certifies, records and only then releases', async () => {
    const { issue, steps, entries } = compose({})
    await expect(issue()).resolves.toEqual({
      certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA',
      serial: '253190604933268355',
      keyId: 'github:583231:maya/runner-setup/req_1',
      principals: ['runner@runner-17.example.com'],
      validAfter: '2026-11-22T09:59:00Z',
      validBefore: '2026-11-22T10:05:00Z',
      rule: 'runner-setup',
      criticalOptions: { 'force-command': '/usr/local/sbin/runner-setup' },
      extensions: {},
      host: { name: 'runner-17.example.com' },
    })
    expect(steps).toEqual(['policy', 'find 1', 'evaluate', 'certify', 'append allow'])
    expect(entries).toMatchObject([
      {
        type: 'allow',
        time: '2026-11-22T10:00:00Z',
        policy: 'f'.repeat(64),
        request: { id: 'req_1', address: '192.0.2.1' },
        identity: { issuer: 'https://github.com', subject: '583231', name: 'maya' },
        lookUps: [{ question: 'team acme/platform', answer: 'none' }],
        ask: { host: 'runner-17.example.com', login: 'runner', fingerprint: 'SHA256:key' },
        rule,
        certificate: { serial: '253190604933268355', ca: 'SHA256:ca' },
      },
    ])
  })

  test('writes the answers of the look-ups it decided by, with the ids', async () => {
    const memberships: Memberships = {
      orgs: [{ login: 'acme', id: '9' }],
      teams: [{ org: 'acme', orgId: '9', slug: 'platform', id: '4' }],
    }
    const { issue, entries, questions } = compose({ memberships })
    await issue()
    expect(questions[0]?.memberships).toBe(memberships)
    expect(entries).toMatchObject([
      {
        lookUps: [{ question: 'team acme/platform', answer: 'active', orgId: '9', teamId: '4' }],
      },
    ])
  })

  test('decides by the address of the caller, and by a proof only where one verified', async () => {
    const { issue, questions } = compose({})
    await issue()
    expect(questions[0]).toMatchObject({ address: '192.0.2.1', hasProof: false })
  })

  test('ends the certificate with the time of its rule, and says so', async () => {
    const grant = { ...allow.grant, ttlSeconds: 120, shortenedBy: 'when' } as const
    const { issue, entries } = compose({ decision: { ...allow, grant } })
    expect(await issue()).toMatchObject({
      validBefore: '2026-11-22T10:02:00Z',
      shortenedBy: 'when',
    })
    expect(entries).toMatchObject([{ shortenedBy: 'when' }])
  })

  test('ends the certificate with the token, and says so', async () => {
    const { issue, entries } = compose({
      identity: { expiresAt: new Date('2026-11-22T10:02:00Z') },
    })
    const issued = await issue()
    expect(issued).toMatchObject({ validBefore: '2026-11-22T10:02:00Z', shortenedBy: 'token' })
    expect(entries).toMatchObject([{ shortenedBy: 'token' }])
  })

  test('lets it outlive the token only where the rule says so', async () => {
    const { issue } = compose({
      decision: { ...allow, grant: { ...allow.grant, outliveToken: true } },
      identity: { expiresAt: new Date('2026-11-22T10:02:00Z') },
    })
    const issued = await issue()
    expect(issued.validBefore).toBe('2026-11-22T10:05:00Z')
    expect(issued).not.toHaveProperty('shortenedBy')
  })

  test('releases nothing where the entry cannot be written, and writes no second one', async () => {
    const { issue, steps } = compose({
      failAppend: new AppError('audit_unavailable', 'The log cannot be written.'),
    })
    await expect(issue()).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(steps).toEqual(['policy', 'find 1', 'evaluate', 'certify', 'append allow'])
  })
})

// ATTACKS 16
describe('an ask with a proof', () => {
  const proof: Proof = { time: '2026-11-22T10:00:00Z', signature: '', wanted: {} }

  test('is judged only once it is known which proofs were used before the start', async () => {
    const settled = Promise.withResolvers<void>()
    const { issue, steps } = compose({ recent: { ...unlimited, settle: () => settled.promise } })
    const answer = issue({ proof })
    await new Promise(setImmediate)
    expect(steps).toEqual(['policy'])
    settled.resolve()
    await expect(answer).rejects.toMatchObject({ code: 'pop_failed' })
    expect(steps).toEqual(['policy', 'append deny'])
  })

  test('gets nothing while that cannot be read, and one without a proof does', async () => {
    const failure = new AppError('audit_unavailable', 'The log cannot be read.')
    const recent: Recent = { ...unlimited, settle: () => Promise.reject(failure) }
    const { issue, steps } = compose({ recent })
    await expect(issue({ proof })).rejects.toBe(failure)
    expect(steps).toEqual(['policy'])
    expect(await issue()).toMatchObject({ rule: 'runner-setup' })
  })
})

describe('a rule with a ceiling', () => {
  const limited: Decision = { ...allow, maxPerHour: 2 }
  const count = () => {
    const log: string[] = []
    const recent: Recent = {
      ...unlimited,
      takePlace: async (name, most) => {
        log.push(`take ${name} of ${most}`)
        return { used: 2, release: () => log.push('release') }
      },
    }
    return { recent, log }
  }

  test('writes how much of it was used', async () => {
    const { recent, log } = count()
    const { issue, entries } = compose({ decision: limited, recent })
    await issue()
    expect(entries).toMatchObject([{ type: 'allow', quota: { used: 2, most: 2 } }])
    expect(log).toEqual(['take runner-setup of 2'])
  })

  test('refuses what goes over it, and signs nothing', async () => {
    const recent: Recent = { ...unlimited, takePlace: async () => undefined }
    const { issue, entries, steps } = compose({ decision: limited, recent })
    await expect(issue()).rejects.toMatchObject({
      code: 'quota_exceeded',
      message:
        'All 2 certificates that may be issued for this in an hour have been: try again later.',
    })
    expect(steps).toEqual(['policy', 'find 1', 'evaluate', 'append deny'])
    expect(entries).toMatchObject([
      { type: 'deny', code: 'quota_exceeded', rule, quota: { used: 2, most: 2 } },
    ])
  })

  test('counts nothing that was not issued', async () => {
    const { recent, log } = count()
    const { issue } = compose({
      decision: limited,
      recent,
      failCertify: new AppError('signer_unavailable', 'Sorry.'),
    })
    await expect(issue()).rejects.toMatchObject({ code: 'signer_unavailable' })
    expect(log).toEqual(['take runner-setup of 2', 'release'])
  })
})

describe('a rule that says alert', () => {
  test('is heard of once the entry is durable, which says so too', async () => {
    const { issue, entries, steps } = compose({ decision: { ...allow, alert: true } })
    await issue()
    expect(steps.slice(-2)).toEqual(['append allow', 'alert runner-setup'])
    expect(entries).toMatchObject([{ type: 'allow', alert: true }])
  })

  test('is not heard of for a certificate that was never released', async () => {
    const { issue, steps } = compose({
      decision: { ...allow, alert: true },
      failAppend: new AppError('audit_unavailable', 'The log cannot be written.'),
    })
    await expect(issue()).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(steps).not.toContain('alert runner-setup')
  })
})

describe('while issuing is frozen', () => {
  const frozen = new AppError('frozen', 'All issuing is frozen by maya since 10:00.')

  test('an ask is an entry, and nobody is asked about it', async () => {
    const { issue, steps, entries } = compose({
      checkFrozen: () => {
        throw frozen
      },
    })
    await expect(issue()).rejects.toBe(frozen)
    expect(steps).toEqual(['policy', 'append error'])
    expect(entries).toMatchObject([
      { type: 'error', code: 'frozen', reason: frozen.message, identity: { name: 'maya' } },
    ])
  })

  test('what is signed by then is an entry, and is not released', async () => {
    let checks = 0
    const { issue, steps } = compose({
      checkFrozen: () => {
        checks += 1
        if (checks === 2) throw frozen
      },
    })
    await expect(issue()).rejects.toBe(frozen)
    expect(steps).toEqual(['policy', 'find 1', 'evaluate', 'certify', 'append error'])
  })
})

// ATTACKS 219
describe('for a person or a key that is revoked', () => {
  const revoked = new AppError('key_revoked', 'This key is revoked.')

  test('an ask is a refusal, and nobody is asked about it', async () => {
    const { issue, steps, entries } = compose({
      checkRevoked: () => {
        throw revoked
      },
    })
    await expect(issue()).rejects.toBe(revoked)
    expect(steps).toEqual(['policy', 'append deny'])
    expect(entries).toMatchObject([{ type: 'deny', code: 'key_revoked', reason: revoked.message }])
  })

  test('what is signed by then is a refusal, and is not released', async () => {
    let checks = 0
    const { issue, steps } = compose({
      checkRevoked: () => {
        checks += 1
        if (checks === 2) throw revoked
      },
    })
    await expect(issue()).rejects.toBe(revoked)
    expect(steps).toEqual(['policy', 'find 1', 'evaluate', 'certify', 'append deny'])
  })
})

describe('refusing and failing', () => {
  test('a denial is an entry before the caller hears of it, and nothing is signed', async () => {
    const { issue, steps, entries } = compose({
      decision: {
        kind: 'deny',
        code: 'policy_denied',
        rule,
        reason: 'No rule lets you in.',
        detail: 'nearest: x',
      },
    })
    await expect(issue()).rejects.toMatchObject({
      code: 'policy_denied',
      message: 'No rule lets you in.',
    })
    expect(steps).toEqual(['policy', 'find 1', 'evaluate', 'append deny'])
    expect(entries).toMatchObject([
      {
        type: 'deny',
        code: 'policy_denied',
        reason: 'No rule lets you in.',
        detail: 'nearest: x',
        rule,
      },
    ])
  })

  test('a denial that cannot be recorded is answered as the log being down', async () => {
    const { issue } = compose({
      decision: { kind: 'deny', code: 'policy_denied', reason: 'No.', detail: 'no rule' },
      failAppend: new AppError('audit_unavailable', 'The log cannot be written.'),
    })
    await expect(issue()).rejects.toMatchObject({ code: 'audit_unavailable' })
  })

  test.each([
    ['idp_unavailable', 'error'],
    ['insufficient_scope', 'deny'],
  ] as const)('a look-up that ends in %s is an entry of type %s', async (code, type) => {
    const { issue, entries, steps } = compose({ failLookUp: new AppError(code, 'Sorry.') })
    await expect(issue()).rejects.toMatchObject({ code })
    expect(entries).toMatchObject([{ type, code, reason: 'Sorry.' }])
    expect(steps).not.toContain('evaluate')
  })

  test('a signer that fails is an entry, and no certificate leaves', async () => {
    const { issue, entries } = compose({
      failCertify: new AppError('signer_unavailable', 'The signing key does not answer.'),
    })
    await expect(issue()).rejects.toMatchObject({ code: 'signer_unavailable' })
    expect(entries).toMatchObject([{ type: 'error', code: 'signer_unavailable', rule }])
  })

  test('a fault of our own is recorded in full and told to nobody', async () => {
    const { issue, entries } = compose({ failCertify: new TypeError('undefined is no function') })
    await expect(issue()).rejects.toThrow(TypeError)
    expect(entries).toMatchObject([
      {
        type: 'error',
        code: 'internal',
        reason: 'Something went wrong on our side.',
        detail: 'undefined is no function',
      },
    ])
  })
})
