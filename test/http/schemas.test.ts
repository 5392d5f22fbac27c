import { afterAll, beforeAll, expect, test } from 'vitest'
import { schemas } from '../../src/app/schemas.ts'
import { startTestApp, type TestApp } from '../app.ts'

let service: TestApp
beforeAll(async () => {
  service = await startTestApp()
})
afterAll(() => service.close())

test.each(Object.entries(schemas))(
  'GET /schemas/%s.json is open to editors',
  async (name, create) => {
    const response = await service.request(`/schemas/${name}.json`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/schema+json')
    expect(await response.json()).toEqual(create())
  },
)

test('there is no other schema', async () => {
  expect((await service.request('/schemas/users.json')).status).toBe(404)
})
