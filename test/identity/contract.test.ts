import { createGithubProvider } from '../../src/identity/github.ts'
import { describeProvider } from '../contracts/provider.ts'
import { startGithub } from '../fakes/github.ts'
import { startOidcIssuer } from '../fakes/oidc.ts'
import { createTestClock, createTestProvider } from './setup.ts'

const sum = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((total, count) => total + count, 0)

describeProvider('an OIDC issuer', async () => {
  const clock = createTestClock()
  const fake = await startOidcIssuer({ clock })
  return {
    clock,
    createProvider: () => createTestProvider(fake, clock),
    mintFor: (person) => fake.mintFor(person),
    listBadTokens: async () => ({
      'for another audience': await fake.mint({ aud: 'another-service' }),
      expired: await fake.mint({}, { expiresIn: -60 }),
      'without a subject': await fake.mint({ sub: undefined }),
      'of an unknown key': await fake.mint({}, { header: { kid: 'key-of-mallory' } }),
      'with the signature of another': (await fake.mint()).replace(/[^.]*$/, 'A'.repeat(86)),
    }),
    trouble: (how) => {
      fake.switches.keys = how
    },
    countRequests: () => sum(fake.requests),
    close: fake.close,
  }
})

describeProvider('a GitHub server', async () => {
  const clock = createTestClock()
  const fake = await startGithub({
    clock,
    apps: [
      { clientId: 'ours', clientSecret: 'secret-1', type: 'github-app' },
      { clientId: 'theirs', clientSecret: 'secret-2', type: 'github-app' },
    ],
  })
  const apps = fake.world.apps.slice(0, 1)
  const inFiveMinutes = () => new Date(clock().getTime() + 300_000)
  return {
    clock,
    createProvider: () => createGithubProvider({ apiUrl: fake.apiUrl, apps, fetch, clock }),
    mintFor: async (person) => fake.mintToken(person, { expiresAt: inFiveMinutes() }),
    listBadTokens: async () => ({
      'of another app': fake.mintToken('maya', { app: 'theirs' }),
      expired: fake.mintToken('maya', { expiresAt: clock() }),
      'made up': `ghu_${'a'.repeat(36)}`,
    }),
    trouble: (how) => {
      if (how === undefined) delete fake.switches.trouble.checkToken
      else fake.switches.trouble.checkToken = how
    },
    countRequests: () => sum(fake.requests),
    close: fake.close,
  }
})
