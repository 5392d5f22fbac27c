import type { Code } from '../errors.ts'
import { ofDesk } from './help/desk.ts'
import { ofRefusals } from './help/refusals.ts'
import { ofRequests } from './help/requests.ts'
import { ofService } from './help/service.ts'
import type { Help } from './help/words.ts'

/** One page for every code: `/problems/<code>` and `postern help <code>`. By who meets it, a file each. */
export const help: Readonly<Record<Code, Help>> = {
  ...ofRequests,
  ...ofRefusals,
  ...ofService,
  ...ofDesk,
}
