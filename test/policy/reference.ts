import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { formatReference } from '../../src/policy/reference/page.ts'

// Writes policies/README.md anew: `npm run reference`.
writeFileSync(
  fileURLToPath(new URL('../../policies/README.md', import.meta.url)),
  formatReference(),
)
