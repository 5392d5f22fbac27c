import type { EntryIdentity } from '../audit/index.ts'
import { isLogin } from '../lib/names.ts'
import type { HttpContext } from './context.ts'

/** Names whoever sends a request through the admin socket, as they call themselves. */
export const localUserHeader = 'postern-user'

/**
 * Who speaks through the admin socket. Its file mode lets in the service's own user and root alone,
 * and that is all that is proven: the subject is this user. The name is the sender's own word, so
 * that of several admins who become that user the log shows which; nothing is decided by it.
 */
export const identifyLocal = (c: HttpContext, user: string): EntryIdentity => {
  const named = c.req.header(localUserHeader) ?? ''
  return {
    kind: 'local',
    issuer: 'local',
    subject: user,
    name: isLogin(named) ? named : user,
    groups: [],
    claims: {},
    mfa: false,
  }
}
