import type { Store } from '../audit/index.ts'
import type { FindRevoked } from '../audit/inventory.ts'
import { readRegister } from '../audit/revocations.ts'

/** How certificates were revoked, by what the log says now. Code: `log_corrupt` */
export const openFindRevoked = async (store: Pick<Store, 'findAfter'>): Promise<FindRevoked> => {
  const register = await readRegister(store)
  return (certificate) => {
    const found = register.findRevocation(certificate)
    return found && { time: found.time, by: found.by, reason: found.reason }
  }
}
