import type { Store } from '../audit/index.ts'
import type { FindRevoked } from '../audit/inventory.ts'

/** How certificates were revoked, by what the log says. */
export const openFindRevoked =
  async (_store: Pick<Store, 'find'>): Promise<FindRevoked> =>
  () =>
    undefined
