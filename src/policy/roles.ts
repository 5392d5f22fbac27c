import type { Policy, Role } from './index.ts'
import { createNaming, createNeeding, dropDoubles, type Who } from './who.ts'

/**
 * Who has which role. Each says only what is listed under its own name: a role that no file speaks of
 * is nobody's.
 */
export const createRoles = (
  roles: ReadonlyMap<Role, Who>,
): Pick<Policy, 'findRoles' | 'listRoleQuestions'> => ({
  findRoles(identity, memberships) {
    const isNamed = createNaming(identity, memberships)
    return new Set([...roles].flatMap(([role, who]) => (isNamed(who) ? [role] : [])))
  },
  listRoleQuestions(identity) {
    if (identity.kind !== 'github') return []
    const findNeed = createNeeding(identity)
    return dropDoubles(
      [...roles.values()].flatMap((who) => {
        const need = findNeed(who)
        return typeof need === 'boolean' ? [] : need
      }),
    )
  },
})
