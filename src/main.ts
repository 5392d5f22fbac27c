#!/usr/bin/env node
/**
 * The process: argv to the command line. An older Node would crash in the native parts instead of
 * saying what is wrong (better-sqlite3 13 under Node 20), so nothing is loaded before this is known.
 */
const needed = 24
const major = Number.parseInt(process.versions.node, 10)
if (major < needed) {
  process.stderr.write(
    `error: postern needs Node ${needed} or newer, and this is ${process.versions.node}; install it, or use a checkout, which brings its own: npm ci && npm run -s postern -- --help\n`,
  )
  process.exit(78)
}

// Until the service has read its files there is nothing to read again; and SIGHUP would end it, which
// systemd takes for a clean end and mends by no restart.
if (process.argv.includes('serve')) process.on('SIGHUP', () => {})

// ssh waits for these at every connection, so they load what they need and nothing else.
const isQuick = ['ready', 'agent'].includes(process.argv[2] ?? '')
const { run } = isQuick ? await import('./cli/quick.ts') : await import('./cli/index.ts')
const { stdout, stderr, env } = process
process.exit(await run(process.argv.slice(2), { stdout, stderr, env, cwd: process.cwd() }))
