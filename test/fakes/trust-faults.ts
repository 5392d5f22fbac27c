import { generateKeyPairSync } from 'node:crypto'
import { bundleNamespace } from '../../src/hosts/bundle.ts'
import { createTrustKey, type TrustKey } from '../../src/hosts/trust-key.ts'
import { encodeBase64, encodeUtf8 } from '../../src/lib/bytes.ts'

/** An answer as it goes over the wire: `of` bytes are announced, and the body is what there is of it. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly type?: string
  readonly location?: string
  readonly announced?: number
  /** Sends half, and the rest never. */
  readonly hangs?: boolean
}

export interface Good {
  /** The good bundle's text before its signature. */
  readonly text: string
  readonly key: TrustKey
  /** A bundle of the same service that was good before. */
  readonly older: string
}

export const plain = (body: string): Answer => ({ status: 200, body })
const page = '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>\n'
/** The good bundle, signed. */
export const whole = ({ text, key }: Good): string => text + key.sign(bundleNamespace, text)

/** Where a bundle is cut, by what is before the cut: each kind of place in it once. */
const cuts: Readonly<Record<string, (bundle: string) => number>> = {
  'before its first byte': () => 0,
  'in its first line': () => 9,
  'after its first line': (bundle) => bundle.indexOf('\n') + 1,
  'in its version': (bundle) => bundle.indexOf('version ') + 8,
  'in a CA key': (bundle) => bundle.indexOf('ca ') + 40,
  'in a principal': (bundle) => bundle.indexOf('principal ') + 14,
  'before its KRL': (bundle) => bundle.indexOf('krl '),
  'in its KRL': (bundle) => bundle.indexOf('krl ') + 40,
  'after its KRL': (bundle) => bundle.indexOf('\nend\n') + 1,
  'before its signature': (bundle) => bundle.indexOf('-----BEGIN'),
  'in its signature': (bundle) => bundle.indexOf('-----BEGIN') + 120,
  'before its last line': (bundle) => bundle.indexOf('-----END'),
  'in its last line': (bundle) => bundle.indexOf('-----END') + 8,
}

const krlLine = (krl: Uint8Array, length = krl.length): string =>
  `krl ${length} ${encodeBase64(krl)}`
const withKrl = (change: (krl: Buffer) => string) => (text: string) =>
  text.replace(/^krl .*$/m, (line) => change(Buffer.from(line.split(' ')[2] as string, 'base64')))
const withLine = (line: string) => (text: string) => text.replace(/^krl /m, `${line}\nkrl `)
const principal = (login: string, value: string) => withLine(`principal ${login} ${value}`)

/** What a service that has lost its mind could sign; no host may take any of it. */
const signed: Readonly<Record<string, (text: string) => string>> = {
  'another host': (text) => text.replace(/^host .*$/m, 'host web-9.example.com'),
  'no host': (text) => text.replace(/^host .*\n/m, ''),
  'two hosts': (text) => text.replace(/^(host .*\n)/m, '$1$1'),
  'another format': (text) => text.replace('trust v1', 'trust v2'),
  'a version of words': (text) => text.replace(/^version .*$/m, 'version new'),
  'a version of 16 digits': (text) => text.replace(/^version .*$/m, 'version 9999999999999999'),
  'a CA key with options': (text) => text.replace(/^ca /m, 'ca cert-authority '),
  'a CA key that is none': (text) => text.replace(/^ca .*$/m, 'ca ssh-ed25519 AAAA'),
  'text after its end': (text) => `${text}principal root everybody\n`,
  'a line of its own making': withLine('exec rm -rf /'),
  'an empty line': withLine(''),
  // ATTACKS 228
  'a principal with a space': principal('deploy', 'deploy@web-1 root'),
  'a principal with options': principal('deploy', 'command="/bin/sh"'),
  'a principal with #': principal('deploy', 'deploy#prod'),
  'a principal with a quote': principal('deploy', `deploy"`),
  'a principal with a carriage return': principal('deploy', 'deploy\r'),
  'a principal with NUL': principal('deploy', 'deploy\0'),
  'a principal of other letters': principal('deploy', 'dеploy'),
  'a principal of nothing': principal('deploy', ''),
  // ATTACKS 231
  'a login that climbs': principal('..', 'deploy'),
  'a login that is a path': principal('a/../../b', 'deploy'),
  'a login in capitals': principal('Deploy', 'deploy'),
  'a login of a domain': principal('dom\\user', 'deploy'),
  'a login that is an option': principal('-rf', 'deploy'),
  'a login of 33 letters': principal('a'.repeat(33), 'deploy'),
  // ATTACKS 208-210
  'no KRL': (text) => text.replace(/^krl .*\n/m, ''),
  'an empty KRL': withKrl(() => 'krl 0 '),
  'a KRL of 43 bytes': withKrl((krl) => krlLine(krl.subarray(0, 43))),
  'a KRL cut in a section': withKrl((krl) => krlLine(krl.subarray(0, krl.length - 5))),
  'a KRL cut to its header': withKrl((krl) => krlLine(krl.subarray(0, 44), krl.length)),
  'a KRL longer than it says': withKrl((krl) => krlLine(krl, 44)),
  'a KRL of text': withKrl(() => krlLine(encodeUtf8(page))),
  'a KRL of comments': withKrl(() => krlLine(encodeUtf8(`${'#'.repeat(60)}\n`))),
  'a KRL that is no base64': withKrl((krl) => `krl ${krl.length} ====`),
  'two KRLs': (text) => text.replace(/^(krl .*\n)/m, '$1$1'),
}

/** Every way a service, or whoever stands between, can fail a host that asks what to trust. */
export const faults: Readonly<Record<string, (good: Good) => Answer>> = {
  'an error page': () => ({ status: 502, body: page, type: 'text/html' }),
  'an error page that says 200': () => ({ status: 200, body: page, type: 'text/html' }),
  'a JSON problem that says 200': () => plain('{"status":500,"code":"internal"}'),
  'status 500': () => ({ status: 500, body: '' }),
  'status 503': () => ({ status: 503, body: page }),
  'a redirect': (good) => ({ status: 302, body: whole(good), location: '/elsewhere' }),
  'a 204': () => ({ status: 204, body: '' }),
  'only blanks': () => plain('\n\n \n'),
  'an endless line of zeros': () => plain('\0'.repeat(40_000_000)),
  'half, and then silence': (good) => ({ ...plain(whole(good)), hangs: true }),
  ...Object.fromEntries(
    Object.entries(cuts).flatMap(([where, find]) => [
      [`a bundle cut ${where}`, (good: Good) => plain(whole(good).slice(0, find(whole(good))))],
      [
        `a bundle cut ${where}, and the connection with it`,
        (good: Good) => ({
          ...plain(whole(good).slice(0, find(whole(good)))),
          announced: whole(good).length,
        }),
      ],
    ]),
  ),
  // ATTACKS 211
  'an older bundle': ({ older }) => plain(older),
  // ATTACKS 225
  'a bundle nobody signed': ({ text }) => plain(text),
  'a bundle of another key': ({ text }) => {
    const other = createTrustKey(generateKeyPairSync('ed25519').privateKey)
    return plain(text + other.sign(bundleNamespace, text))
  },
  'a bundle signed for another purpose': ({ text, key }) =>
    plain(text + key.sign('postern-script@v1', text)),
  'the signature of an older bundle': ({ text, older }) =>
    plain(text + older.slice(older.indexOf('-----BEGIN'))),
  'a bundle with one letter changed': (good) => plain(whole(good).replace('ca ssh', 'ca sSh')),
  'a bundle with a login added': (good) => plain(principal('root', 'root@everywhere')(whole(good))),
  'a bundle with carriage returns': (good) => plain(whole(good).replaceAll('\n', '\r\n')),
  ...Object.fromEntries(
    Object.entries(signed).map(([what, change]) => [
      `a signed bundle with ${what}`,
      ({ text, key }: Good) => plain(change(text) + key.sign(bundleNamespace, change(text))),
    ]),
  ),
}
