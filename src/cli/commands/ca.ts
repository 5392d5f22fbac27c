import { type Command, jsonOption, readConfig } from '../command.ts'

export const caShow: Command = {
  name: 'ca show',
  summary: "print the CA's public keys, ready for TrustedUserCAKeys, and their fingerprints",
  options: [jsonOption],
  examples: [
    'postern ca show > /etc/ssh/postern/user_ca.pub',
    'postern ca show --config /etc/postern/postern.yaml --json',
  ],
  async run(context, _argument, { json }) {
    const config = await readConfig(context)
    const { readKeys } = await import('../../app.ts')
    const keys = await readKeys(config)
    const active = keys.find(({ state }) => state === 'active')
    const others = keys.filter((key) => key !== active && key.state !== 'removed')
    const trusted = [...(active === undefined ? [] : [active]), ...others]
    if (json === true) {
      const { publicKey, fingerprint } = active ?? {}
      const shown = trusted.map(({ alive: _, ...key }) => key)
      context.output.json({ publicKey, fingerprint, keys: shown })
      return 0
    }
    for (const { publicKey, fingerprint, state } of trusted) {
      // sshd skips the second line, so the whole can be its file.
      context.output.line(publicKey)
      context.output.line(`# ${fingerprint} ${state}`)
    }
    return 0
  },
}

export const caList: Command = {
  name: 'ca list',
  summary:
    'list every key there has been: its state, since when, and the certificates it keeps alive',
  options: [jsonOption],
  examples: ['postern ca list', 'postern ca list --json'],
  async run(context, _argument, { json }) {
    const config = await readConfig(context)
    const { readKeys } = await import('../../app.ts')
    const keys = await readKeys(config)
    if (json === true) {
      context.output.json({
        keys: keys.map(({ alive, ...key }) => ({
          ...key,
          certificatesAlive: alive?.count ?? 0,
          ...(alive === undefined ? {} : { lastCertificateEnds: alive.until }),
        })),
      })
      return 0
    }
    context.output.table(
      ['key', 'state', 'since', 'certificates alive', 'the last until'],
      keys.map(({ fingerprint, state, since, alive }) => [
        fingerprint,
        state,
        since,
        String(alive?.count ?? 0),
        alive?.until ?? '',
      ]),
    )
    return 0
  },
}
