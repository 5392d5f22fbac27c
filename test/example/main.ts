/** The backend as a process of its own. Everything it knows when it starts stands in its environment. */
import { serve } from '@hono/node-server'
import { type BackendOptions, createBackend } from './backend.ts'

const { env } = process
const read = (name: string): string => {
  const value = env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

/** What a cloud or a cluster hands to a workload that asks for it, at an address only the workload reaches. */
const serviceToken: BackendOptions['serviceToken'] = async () => {
  const response = await fetch(read('WORKLOAD_TOKEN_URL'), {
    method: 'POST',
    headers: { accept: 'text/plain' },
    body: new URLSearchParams({ user: 'reaper' }),
  })
  return (await response.text()).trim()
}

const backend = createBackend({
  url: read('URL'),
  posternUrl: read('POSTERN_URL'),
  github: {
    webUrl: read('GITHUB_WEB_URL'),
    apiUrl: read('GITHUB_API_URL'),
    clientId: read('GITHUB_CLIENT_ID'),
    clientSecret: read('GITHUB_CLIENT_SECRET'),
  },
  pool: read('POOL').split(' '),
  login: read('LOGIN'),
  database: read('DATABASE'),
  serviceToken,
})
process.on('SIGUSR2', () => {
  backend.reap().then(
    () => process.stdout.write('reaped\n'),
    (error: Error) => process.stdout.write(`reaping failed: ${error.message}\n`),
  )
})
const { port, hostname } = new URL(read('URL'))
serve({ fetch: backend.fetch, port: Number(port), hostname }, () => process.stdout.write('ready\n'))
