import { createLog } from '../../src/audit/chain.ts'
import { openLock, openStore } from '../../src/store/index.ts'
import { allowEntry } from './entries.ts'

/**
 * A process that writes to the log without end, eight at a time, and prints the number of each entry
 * once it is acknowledged: for the tests that kill it. Arguments: the directory, the first serial.
 */
const [directory, first] = process.argv.slice(2)
openLock(`${directory}/postern.lock`)
const log = await createLog({ store: await openStore(`${directory}/postern.db`) })

let next = Number(first)
const write = async (): Promise<never> => {
  for (;;) {
    const n = next++
    const { seq } = await log.append(allowEntry(n))
    // Whoever reads may be slow, and what waits in here for them would die with this process.
    await new Promise((resolve) => process.stdout.write(`${seq} req_${n}\n`, resolve))
  }
}
await Promise.all(Array.from({ length: 8 }, write))
