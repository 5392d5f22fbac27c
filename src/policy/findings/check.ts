import type { OidcShape } from '../who-schema.ts'
import type { Ground, Leaf, Remark } from './ground.ts'

/** What a check says of one entry, at a place inside it. */
export interface Doubt extends Pick<Remark, 'code' | 'message' | 'advice'> {
  readonly at: Remark['path']
  readonly level?: Remark['level']
}

export type Check = (leaf: Leaf, ground: Ground) => readonly Doubt[]

/** A check of entries that name people by an OIDC issuer. */
export const ofOidc =
  (check: (oidc: OidcShape, ground: Ground) => readonly Omit<Doubt, 'at'>[], key?: string): Check =>
  (leaf, ground) =>
    leaf !== 'everyone' && 'oidc' in leaf
      ? check(leaf.oidc, ground).map((doubt) => ({
          at: key === undefined ? ['oidc'] : ['oidc', key],
          ...doubt,
        }))
      : []
