import { concat, encodeUtf8 } from '../lib/bytes.ts'
import { encodeString, encodeUint32, encodeUint64 } from './wire.ts'

/** A KRL that revokes nothing: its header alone (OpenSSH PROTOCOL.krl section 1). */
export const emptyKrl: Uint8Array = concat(
  encodeUtf8('SSHKRL\n\0'),
  encodeUint32(1),
  // Its version, its date and its flags; sshd reads none of them.
  encodeUint64(0n),
  encodeUint64(0n),
  encodeUint64(0n),
  encodeString(''),
  encodeString(''),
)
