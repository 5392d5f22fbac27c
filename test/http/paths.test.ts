import { describe, expect, test } from 'vitest'
import { createFindPath, formatPattern } from '../../src/http/paths.ts'

const find = createFindPath([
  '/v1/hosts/{name}',
  '/v1/hosts/known_hosts',
  '/v1/hosts/{name}/trust',
  '/v1/krl',
])

describe('the path of a route', () => {
  test.each([
    ['/v1/krl', '/v1/krl'],
    ['/v1/hosts/web-1', '/v1/hosts/{name}'],
    ['/v1/hosts/known_hosts', '/v1/hosts/known_hosts'],
    ['/v1/hosts/web-1/trust', '/v1/hosts/{name}/trust'],
    ['/v1/hosts/web%2f1/trust', '/v1/hosts/{name}/trust'],
    ['/v1/hosts/', undefined],
    ['/v1/hosts//trust', undefined],
    ['/v1/hosts/a/b', undefined],
    ['/v1/hosts/a/trust/', undefined],
    ['/v1/KRL', undefined],
    ['/', undefined],
  ])('of %s is %s', (path, route) => {
    expect(find(path)).toBe(route)
  })

  test('is written for the router with colons', () => {
    expect(formatPattern('/v1/hosts/{name}/trust')).toBe('/v1/hosts/:name/trust')
  })
})
