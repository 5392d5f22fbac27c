import { type Command, jsonOption, readConfig } from '../command.ts'

export const caShow: Command = {
  name: 'ca show',
  summary: "print the CA's public key, ready for TrustedUserCAKeys, and its fingerprint",
  options: [jsonOption],
  examples: [
    'postern ca show > /etc/ssh/postern/user_ca.pub',
    'postern ca show --config /etc/postern/postern.yaml --json',
  ],
  async run(context, _argument, { json }) {
    const config = await readConfig(context)
    const { openAuthority } = await import('../../app.ts')
    const authority = await openAuthority(config)
    try {
      const { publicKey, fingerprint } = authority
      if (json === true) context.output.json({ publicKey, fingerprint })
      else {
        // sshd skips the second line, so the whole can be its file.
        context.output.line(publicKey)
        context.output.line(`# ${fingerprint}`)
      }
      return 0
    } finally {
      await authority.close()
    }
  },
}
