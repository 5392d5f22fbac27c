import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Provider } from '../../src/identity/index.ts'
import { type OidcIssuer, startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider, refusalOf, refused } from '../identity/setup.ts'

/**
 * Maya logs in to another service of the same issuer, and that service is Mallory's: she holds true
 * tokens of Maya's, made for her.
 */
const clock = createTestClock()
let fake: OidcIssuer
let provider: Provider
beforeAll(async () => {
  fake = await startOidcIssuer({ clock })
  provider = createTestProvider(fake, clock)
})
afterAll(() => fake.close())

const ask = async (claims: Readonly<Record<string, unknown>>) =>
  refusalOf(provider.authenticate(await fake.mintFor('maya', claims)))

describe("Mallory sends Maya's token", () => {
  // ATTACKS 87. Argo CD CVE-2023-22482: no audience was compared. OpenFGA CVE-2026-55689, ZITADEL
  // CVE-2026-55669: a token for another project of the issuer was as good.
  test('made for her service', async () => {
    for (const aud of ['mallory', ['mallory'], ['mallory', 'other'], 'postern.mallory', 'p']) {
      expect(await ask({ aud })).toEqual(refused('aud names none of ours'))
    }
  })

  // ATTACKS 87. Vault CVE-2024-5798: any overlap of audiences was enough.
  test('made for ours and hers together', async () => {
    for (const azp of [undefined, 'mallory', 'Postern']) {
      expect(await ask({ aud: ['postern', 'mallory'], azp })).toEqual(
        refused('aud names several and azp is none of ours'),
      )
    }
  })

  // ATTACKS 87. A configuration that compares nothing does not start.
  test('to a service whose audience was left empty, which there is not', async () => {
    const create = async () => createTestProvider(fake, clock, { audience: [] })
    expect(await refusalOf(create())).toEqual({
      code: 'invalid_config',
      message: `The OIDC issuer ${fake.issuer} has an empty audience: name at least one.`,
      detail: undefined,
    })
  })
})
