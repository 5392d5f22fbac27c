import type { EntryBase, EntryIdentity, EntryRequest } from './index.ts'

/** A key of the CA came to another state. What `next`, `active` … mean stands in ca/rotation.ts. */
export interface CaKeyEntry extends EntryBase {
  readonly type: 'ca-key'
  /** Who ordered it; absent where a start found it in the configuration. */
  readonly request?: EntryRequest
  readonly identity?: EntryIdentity
  readonly state: 'next' | 'active' | 'retired' | 'removed'
  readonly fingerprint: string
  /** `TYPE BASE64`. */
  readonly publicKey: string
  /** What keeps its private half: never where. */
  readonly place: 'config' | 'file' | 'agent'
  /** What it breaks, in sentences, where somebody did it all the same. */
  readonly force?: readonly string[]
}
