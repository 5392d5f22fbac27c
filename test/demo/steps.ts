import { writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sshd } from '../ssh/sshd.ts'
import { execute, type Outcome } from '../tools.ts'
import type { Answer } from './actions.ts'
import { checkThat } from './screen.ts'
import type { World } from './world.ts'

/** One step of the story. It answers its result in words, and throws where it isn't as it should be. */
export interface Step {
  readonly title: string
  run(world: World): Promise<string>
}

/** What somebody runs on a host: who they are there, and where they are. */
const command = 'id -un; printenv POSTERN_HOST'

/** The story, over a world that runs. A certificate that one step buys, later ones use. */
export const createSteps = ({ login }: Pick<World, 'login'>): readonly Step[] => {
  const other = login === 'nobody' ? 'daemon' : 'nobody'
  let bought: Certificate | undefined
  const findBought = () => {
    checkThat(bought !== undefined, 'no certificate was bought')
    return bought
  }

  return [
    {
      title: `Maya has a token. It buys a certificate for her key: ${login} on web-1, for minutes.`,
      async run({ ask, screen, place }) {
        const answer = await ask('maya', 'maya', { host: 'web-1', reason: 'restart the shop' })
        bought = keepCertificate(answer, place.path('maya-cert.pub'))
        const { serial, principals, validBefore, rule } = bought
        screen.answer(
          `201: serial ${serial}, principals ${principals}, until ${validBefore}, by the rule ${rule}`,
        )
        checkThat(String(principals) === `${login}@web-1`, 'its principals are others')
        return `kept beside her key, in ${place.shown}/maya-cert.pub`
      },
    },
    {
      title: 'It is an ordinary OpenSSH certificate.',
      async run({ screen, place }) {
        const args = ['-L', '-f', `${place.shown}/maya-cert.pub`]
        screen.command(`ssh-keygen ${args.join(' ')}`)
        const { stdout } = await execute('ssh-keygen', args, { cwd: place.root })
        screen.answer(stdout)
        const { serial, keyId } = findBought()
        checkThat(stdout.includes(`Serial: ${serial}`), 'it has another serial')
        checkThat(stdout.includes(`Key ID: "${keyId}"`), 'it has another key id')
        return 'signed by our CA for her key; the key id names her, the rule and the request'
      },
    },
    {
      title: `With it a command runs on web-1, as ${login}.`,
      async run({ ssh }) {
        const { code, stdout } = await ssh('maya', ['web-1'], command)
        checkThat(code === 0, `ssh ended with ${code}`)
        checkThat(stdout === `${login}\nweb-1\n`, 'it ran elsewhere, or as somebody else')
        return `the host let her in as ${login}, and had never heard of her`
      },
    },
    {
      title: "The host's own log names the certificate.",
      async run({ web1, screen }) {
        const { serial, keyId } = findBought()
        const [found] = await web1.waitForLog(new RegExp(`.*ID \\S+ \\(serial ${serial}\\).*`))
        screen.answer(found)
        checkThat(found.includes(keyId), 'under another key id')
        return `serial ${serial} joins it to an entry of Postern's log`
      },
    },
    {
      title: 'Web-2 trusts the same CA, and refuses the same certificate.',
      run: ({ ssh, web2, screen }) =>
        expectRefusal(web2, screen, () => ssh('maya', ['web-2'], command)),
    },
    {
      title: `Web-1 refuses it for another login, ${other}.`,
      run: ({ ssh, web1, screen }) =>
        expectRefusal(web1, screen, () => ssh('maya', ['-l', other, 'web-1'], command)),
    },
    {
      title: 'Sam has a token as good as hers, and is not in the group.',
      async run({ ask, screen }) {
        const { status, body } = await ask('sam', 'maya', { host: 'web-1' })
        screen.answer(`${status} ${body['code']}: ${body['detail']}`)
        checkThat(status === 403, `the service answered ${status}`)
        checkThat(body['code'] === 'policy_denied', 'it refused for another reason')
        checkThat(!('certificate' in body), 'it answered a certificate')
        return 'refused, with the reason'
      },
    },
    {
      title: 'Maya asks for two seconds, and comes too late.',
      async run({ createKey, ask, ssh, web1, screen, place }) {
        await createKey('late')
        const answer = await ask('maya', 'late', { host: 'web-1', ttl: '2s' })
        const { validBefore } = keepCertificate(answer, place.path('late-cert.pub'))
        screen.answer(`201: until ${validBefore}`)
        // A second more, for the end is in whole seconds and sshd has a clock of its own.
        await wait(Math.max(0, Date.parse(validBefore) + 1000 - Date.now()))
        return expectRefusal(web1, screen, () => ssh('late', ['web-1'], command))
      },
    },
    {
      title: 'All of it is in the log: who, what, and by which rule, newest first.',
      async run({ postern }) {
        const { code, stdout } = await postern('audit', 'list')
        checkThat(code === 0, `postern ended with ${code}`)
        const { serial } = findBought()
        checkThat(stdout.includes(`serial ${serial}`), `serial ${serial} is missing`)
        checkThat(/ deny +sam /.test(stdout), "sam's refusal is missing")
        return 'both certificates and the refusal; an entry was on disk before its answer left'
      },
    },
    {
      title:
        'Each entry holds the hash of the one before: nothing was changed, dropped or slipped in.',
      async run({ postern }) {
        const { code, stdout } = await postern('audit', 'verify')
        checkThat(code === 0 && stdout.startsWith('ok: '), 'the log does not verify')
        return 'verified from its first entry'
      },
    },
  ]
}

interface Certificate {
  readonly certificate: string
  readonly serial: string
  readonly keyId: string
  readonly principals: readonly string[]
  readonly validBefore: string
  readonly rule: string
}

const keepCertificate = ({ status, body }: Answer, path: string): Certificate => {
  checkThat(status === 201, `the service answered ${status} ${body['code']}: ${body['detail']}`)
  const issued = body as unknown as Certificate
  writeFileSync(path, `${issued.certificate}\n`)
  return issued
}

const refused = /Permission denied \(publickey\)/
/** In sshd's words; the last two are for a login that this machine may not have. */
const reasons = /Certificate (?:does not|invalid).*|User \S+ .*not allowed.*|Invalid user.*/

/** A login that must fail, and fail because sshd would not have it. */
const expectRefusal = async (
  host: Sshd,
  screen: World['screen'],
  logIn: () => Promise<Outcome>,
): Promise<string> => {
  const before = host.readLog().length
  const { code, stdout, stderr } = await logIn()
  checkThat(code === 255 && stdout === '' && refused.test(stderr), 'the host did not refuse it')
  const [reason] = await host.waitForLog(reasons, before)
  screen.answer(`${host.name} logs: ${reason}`)
  return 'refused'
}
