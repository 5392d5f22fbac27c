import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openCheckpoint, parseVerifierKey } from '../../src/audit/checkpoint.ts'
import { hashBody } from '../../src/audit/entry.ts'
import { openLogKey } from '../../src/audit/log-key.ts'
import { judgeProof } from '../../src/audit/offline.ts'
import { isConsistent, isIncluded } from '../../src/audit/tree.ts'
import { readProblem, startTestApp, type TestApp } from '../app.ts'
import { createFakeStore } from '../fakes/audit-store.ts'
import { formatRolePolicy } from './admin.ts'

let service: TestApp
const store = createFakeStore()
beforeAll(async () => {
  service = await startTestApp({ policies: formatRolePolicy, overrides: { store } })
})
afterAll(() => service.close())

/** As maya, who is an admin and so may do what an auditor may. */
const get = async (path: string, user = 'maya') =>
  service.request(path, { headers: { authorization: `Bearer ${await service.token(user)}` } })
const decode = (text: string) => Buffer.from(text, 'base64')
const openNewest = async () => {
  const { verifierKey } = await openLogKey(`${service.config.dataDir}/log.key`)
  const note = await (await service.request('/v1/audit/checkpoint')).text()
  return openCheckpoint(note, parseVerifierKey(verifierKey))
}

describe('GET /v1/audit/checkpoint', () => {
  test('answers anybody a note that the key of the log has signed', async () => {
    const response = await service.request('/v1/audit/checkpoint')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await openNewest()).toMatchObject({ origin: 'postern.example.com/log', size: 2 })
  })
})

describe('GET /v1/audit/proof', () => {
  test('proves that an entry is counted', async () => {
    const { size, root } = await openNewest()
    const response = await get('/v1/audit/proof?seq=2')
    expect(response.status).toBe(200)
    const proof = (await response.json()) as {
      seq: number
      size: number
      leaf: string
      hashes: string[]
    }
    expect(proof).toMatchObject({ seq: 2, size, root: Buffer.from(root).toString('base64') })
    const leaf = Buffer.from(hashBody(store.rows[1]?.body ?? ''), 'hex')
    expect(isIncluded({ leaf, index: 1, size, root, proof: proof.hashes.map(decode) })).toBe(true)
  })

  test('proves that the log has only grown', async () => {
    const { size, root } = await openNewest()
    const response = await get('/v1/audit/proof?from=1')
    const proof = (await response.json()) as {
      from: number
      to: number
      fromRoot: string
      hashes: string[]
    }
    expect(proof).toMatchObject({ from: 1, to: size })
    const hashes = proof.hashes.map(decode)
    const fromRoot = Buffer.from(store.rows[0]?.hash ?? '', 'hex')
    expect(decode(proof.fromRoot)).toEqual(fromRoot)
    expect(isConsistent({ from: 1, fromRoot, to: size, toRoot: root, proof: hashes })).toBe(true)
  })

  test('and whoever has nothing of ours can hold both to the checkpoints', async () => {
    const notes = await (await service.request('/v1/audit/checkpoint')).text()
    const { verifierKey: key } = await openLogKey(`${service.config.dataDir}/log.key`)
    const judge = async (query: string) =>
      judgeProof({ notes, proof: await (await get(`/v1/audit/proof?${query}`)).text(), key })
    expect(await judge('seq=1')).toBe(`entry 1 of the 2 signed has the hash ${store.rows[0]?.hash}`)
    expect(await judge('from=2')).toBe('the 2 entries signed begin with the 2 signed before')
    await expect(judge('from=1')).rejects.toThrow('there is no checkpoint of 1 entries in the file')
  })

  const names =
    'The query of this route holds seq, size, from, to, each at most once, and nothing else.'
  const which = 'Ask with "seq" and perhaps "size", or with "from" and perhaps "to".'
  test.each([
    ['', which],
    ['?size=2', which],
    ['?seq=1&from=1', which],
    ['?from=1&size=2', which],
    ['?seq=0', 'Send "seq" as a whole number from 1.'],
    ['?seq=-1', 'Send "seq" as a whole number from 1.'],
    ['?seq=1e1', 'Send "seq" as a whole number from 1.'],
    ['?seq=', 'Send "seq" as a whole number from 1.'],
    ['?seq=99999999999999999999', 'Send "seq" as a whole number from 1.'],
    ['?seq=1&size=3', 'The newest checkpoint counts 2 entries: ask for no more than those.'],
    ['?seq=2&size=1', 'There is no entry 2 among the first 1.'],
    ['?from=2&to=1', 'Ask from a size between 1 and 1.'],
    ['?seq=1&seq=2', names],
    ['?seq=1&other=2', names],
    ['?__proto__=1', names],
  ])('refuses the query %j', async (query, detail) => {
    const before = store.rows.length
    expect(await readProblem(await get(`/v1/audit/proof${query}`))).toEqual({
      status: 400,
      code: 'invalid_request',
      detail,
    })
    expect(store.rows).toHaveLength(before)
  })

  test('is for the role auditor', async () => {
    expect(await readProblem(await get('/v1/audit/proof?seq=1', 'sam'))).toMatchObject({
      status: 403,
      code: 'role_required',
    })
  })

  test('is described with its query', async () => {
    const document = (await (await service.request('/openapi.json')).json()) as {
      paths: Record<string, { get: { parameters?: { name: string; in: string }[] } }>
    }
    const { parameters = [] } = document.paths['/v1/audit/proof']?.get ?? {}
    expect(parameters.map((one) => `${one.in} ${one.name}`)).toEqual([
      'query seq',
      'query size',
      'query from',
      'query to',
    ])
  })
})
