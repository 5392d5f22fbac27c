import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { help } from '../../src/errors/help.ts'
import { codes } from '../../src/errors.ts'
import { startTestApp, type TestApp } from '../app.ts'

let service: TestApp
beforeAll(async () => {
  service = await startTestApp()
})
afterAll(() => service.close())

const read = async (path: string) => {
  const response = await service.request(path)
  return { response, text: await response.text() }
}

/** Whatever a browser would load or run. */
const loading =
  /<(?:script|img|link|iframe|object|embed|form|base)\b|\bsrc=|@import|url\(|\bon[a-z]+=/i

describe('a page', () => {
  test.each(['/docs', '/problems', '/problems/policy_denied'])('%s loads nothing', async (path) => {
    const { response, text } = await read(path)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(text).toMatch(/^<!doctype html>\n<html lang="en">/)
    expect(text).not.toMatch(loading)
    const links = [...text.matchAll(/href="([^"]*)"/g)].map(([, to]) => to as string)
    expect(links.filter((to) => !/^[/#]/.test(to))).toEqual([])
  })

  test('of the API has every route, who may call it, and no link that leads nowhere', async () => {
    const { text } = await read('/docs')
    for (const { method, path } of service.app.table) {
      expect(text).toContain(`<span class="method">${method.toUpperCase()}</span> ${path}</h2>`)
    }
    expect(text.match(/Who may call it: /g)).toHaveLength(service.app.table.length)
    for (const [, id] of text.matchAll(/href="#([^"]*)"/g)) expect(text).toContain(`id="${id}"`)
    const others = new Set([...text.matchAll(/href="(\/[^"]*)"/g)].map(([, to]) => to as string))
    for (const to of others) expect((await read(to)).response.status, to).toBe(200)
  })

  test('of the API shows what a route takes that takes text', async () => {
    const { text } = await read('/docs')
    const report = text.split('/v1/hosts/{name}/report</h2>')[1]?.split('<h2')[0]
    expect(report).toContain('-H &#39;Content-Type: text/plain&#39;')
    expect(report).toContain('postern-report v1\nhost web-1.example.com')
  })

  test('is there for the type of every problem', async () => {
    const { text: list } = await read('/problems')
    for (const code of Object.keys(codes) as (keyof typeof codes)[]) {
      const { response, text } = await read(`/problems/${code}`)
      expect(response.status, code).toBe(200)
      expect(text).toContain(`<h1>${codes[code].title}</h1>`)
      expect(list).toContain(`href="/problems/${code}"`)
    }
  })

  test('of a code there is not is 404, and the code is not repeated', async () => {
    const { response, text } = await read('/problems/%3Cscript%3E')
    expect(response.status).toBe(404)
    expect(JSON.parse(text)).toMatchObject({
      code: 'not_found',
      detail: 'There is no problem of this code: /problems lists all.',
    })
  })
})

describe('the help of a code', () => {
  const rows = Object.entries(help)

  test.each(rows)('%s says what happened, what to do and who can, in sentences', (_, row) => {
    for (const text of Object.values(row)) {
      expect(text).toMatch(/^["“`A-Z].*[.”]$/s)
      expect(text).not.toMatch(/ {2}|\n/)
    }
  })
})
