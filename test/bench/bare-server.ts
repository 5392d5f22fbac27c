/**
 * A process of its own, by bare.ts: `node:http` that verifies the token's ES256 signature, signs the bytes of a
 * certificate, and answers as much as a certificate is. No claims, no policy, no log, no certificate.
 */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const answer = await fetch(`${process.argv[2]}/jwks`)
const { keys } = (await answer.json()) as { readonly keys: readonly [object] }
const token = {
  key: createPublicKey({ key: { ...keys[0] }, format: 'jwk' }),
  dsaEncoding: 'ieee-p1363',
} as const
const ca = generateKeyPairSync('ed25519').privateKey
const tbs = Buffer.alloc(350, 'b')
const body = JSON.stringify({ certificate: 'A'.repeat(650), members: 'B'.repeat(450) })

const isGenuine = (text: string): boolean => {
  const end = text.lastIndexOf('.')
  const signature = Buffer.from(text.slice(end + 1), 'base64url')
  return verify('sha256', Buffer.from(text.slice(0, end)), token, signature)
}

const server = createServer((request, response) => {
  let text = ''
  request.setEncoding('utf8')
  request.on('data', (part: string) => {
    text += part
  })
  request.on('end', () => {
    JSON.parse(text)
    const isOurs = isGenuine(request.headers.authorization?.slice('Bearer '.length) ?? '')
    if (isOurs) sign(null, tbs, ca)
    response.writeHead(isOurs ? 201 : 401, {
      'content-type': 'application/json',
      'content-length': body.length,
    })
    response.end(body)
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
