import { AppError } from '../errors.ts'

/** Counts the requests being worked on; closed, it lets no more in. */
export interface Gate {
  /** Lets one in, who is to `leave` once. Codes: `stopping`, `overloaded`. */
  enter(): void
  leave(): void
  /** The same for one who has left for a while: also when it is closed. Code: `overloaded`. */
  enterAgain(): void
  isClosed(): boolean
  close(): void
}

/** @param limit how many may be inside at once. */
export const createGate = (limit: number): Gate => {
  let inside = 0
  let closed = false
  const enterAgain = () => {
    if (inside >= limit) {
      throw new AppError('overloaded', 'The service is busy: try again in a second.', {
        retryAfter: 1,
      })
    }
    inside++
  }
  return Object.freeze({
    enter() {
      if (closed) {
        throw new AppError('stopping', 'The service is stopping: try again in a few seconds.', {
          retryAfter: 5,
        })
      }
      enterAgain()
    },
    enterAgain,
    leave() {
      inside--
    },
    isClosed: () => closed,
    close() {
      closed = true
    },
  })
}
