import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startGithub } from '../fakes/github.ts'
import { measureRate } from './load.ts'
import { createSite, startService } from './service.ts'

export interface GithubFigures {
  readonly rule: string
  /** API calls of GitHub's per certificate. */
  readonly calls: number
  readonly p50Millis: number
  readonly p99Millis: number
  /** The same with a GitHub that answers at once. */
  readonly instantP50Millis: number
}

const [clientId, clientSecret] = ['Ov23liBench', 'bench-secret']

/** What a GitHub user waits for, beside a GitHub that takes its time to answer each call. */
export const measureGithub = async (given: {
  readonly delayMillis: number
  readonly seconds: number
}): Promise<readonly GithubFigures[]> => {
  const figures: GithubFigures[] = []
  for (const [rule, who] of [
    ['names the user', 'id: "583231"'],
    ['names a team', 'team: acme/platform'],
  ] as const) {
    const github = await startGithub({ apps: [{ clientId, clientSecret, type: 'oauth-app' }] })
    const site = await createSite({
      who: `{ github: { ${who}, server: "${new URL(github.apiUrl).host}" } }`,
      identity(dir) {
        const file = join(dir, 'github_secret')
        writeFileSync(file, clientSecret, { mode: 0o600 })
        return `  github:\n    - { clientId: ${clientId}, clientSecretFile: ${file}, apiUrl: "${github.apiUrl}" }\n`
      },
    })
    const service = await startService(site)
    const target = {
      ...service,
      mintTokens: (count: number) => Array.from({ length: count }, () => github.mintToken('maya')),
    }
    const count = () => Object.values(github.requests).reduce((sum, value) => sum + value, 0)
    try {
      const load = { perSecond: 10, seconds: given.seconds }
      await measureRate(target, { ...load, seconds: 1 })
      const instant = await measureRate(target, load)
      const before = count()
      github.switches.delayMillis = given.delayMillis
      const slow = await measureRate(target, load)
      if (slow.failed > 0) throw new Error(`${slow.failed} were refused beside GitHub`)
      figures.push({
        rule,
        calls: (count() - before) / (load.perSecond * load.seconds),
        p50Millis: slow.p50Millis,
        p99Millis: slow.p99Millis,
        instantP50Millis: instant.p50Millis,
      })
    } finally {
      await service.stop()
      site.remove()
      await github.close()
    }
  }
  return figures
}
