import { decodeBase64 } from '../lib/bytes.ts'
import { parseCertificate } from '../ssh/certificate.ts'
import { encodeKrl } from '../ssh/krl.ts'

/** As much of a certificate as a KRL keeps. */
export interface RevokedSerial {
  /** Decimal string. */
  readonly serial: string
  /** The fingerprint of the CA key that signed it. */
  readonly ca: string
  /** RFC 3339 UTC. */
  readonly validBefore: string
}

/** The serials that a KRL names, by the CA that signed them: under another CA they have no effect. */
export interface RevokedSerials {
  /** Whether the key behind a CA's fingerprint is known. */
  knows(ca: string): boolean
  /** Learns it from a certificate that the CA signed: `TYPE BASE64`. @throws WireError */
  learn(ca: string, text: string): void
  /** Whether it was not among them yet. */
  add(revoked: RevokedSerial): boolean
  /** Leaves out what is over. */
  prune(isOver: (revoked: Pick<RevokedSerial, 'validBefore'>) => boolean): void
  /** The KRL, with keys by their `SHA256:…` fingerprints. */
  encode(given: {
    readonly version: number
    /** Seconds since 1970. */
    readonly generated: number
    readonly keys: readonly string[]
  }): Uint8Array
}

export const createRevokedSerials = (): RevokedSerials => {
  const authorities = new Map<string, Uint8Array>()
  const byAuthority = new Map<string, Map<string, string>>()
  return Object.freeze({
    knows: (ca: string) => authorities.has(ca),
    learn(ca: string, text: string) {
      authorities.set(ca, parseCertificate(text).authority)
    },
    add({ serial, ca, validBefore }: RevokedSerial) {
      const serials = byAuthority.get(ca) ?? new Map<string, string>()
      const isNew = !serials.has(serial)
      byAuthority.set(ca, serials.set(serial, validBefore))
      return isNew
    },
    prune(isOver: (revoked: Pick<RevokedSerial, 'validBefore'>) => boolean) {
      for (const serials of byAuthority.values()) {
        for (const [serial, validBefore] of serials) {
          if (isOver({ validBefore })) serials.delete(serial)
        }
      }
    },
    encode: (given: {
      readonly version: number
      readonly generated: number
      readonly keys: readonly string[]
    }) =>
      encodeKrl({
        version: BigInt(given.version),
        generated: given.generated,
        comment: 'postern',
        certificates: [...byAuthority].map(([ca, serials]) => ({
          authority: findAuthority(authorities, ca),
          serials: Array.from(serials.keys(), BigInt),
        })),
        fingerprints: given.keys.map(decodeFingerprint),
      }),
  })
}

const findAuthority = (authorities: ReadonlyMap<string, Uint8Array>, ca: string): Uint8Array => {
  const blob = authorities.get(ca)
  if (blob === undefined) throw new TypeError('the CA of a revoked certificate is not known')
  return blob
}

const decodeFingerprint = (fingerprint: string): Uint8Array => {
  const hash = decodeBase64(`${fingerprint.replace(/^SHA256:/, '')}=`)
  if (hash === undefined) throw new TypeError('not a SHA-256 fingerprint')
  return hash
}
