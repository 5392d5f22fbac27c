/** A number of places, and a queue for them. */
export interface Places {
  /** Does the work once there is a place. What waits for one rejects with the signal's reason. */
  use<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export const createPlaces = (count: number): Places => {
  const queue: (() => void)[] = []
  let free = count
  const leave = () => {
    const next = queue.shift()
    if (next === undefined) free++
    else next()
  }
  const enter = (signal: AbortSignal): Promise<void> | void => {
    if (free > 0) {
      free--
      return
    }
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        queue.splice(queue.indexOf(take), 1)
        reject(signal.reason)
      }
      queue.push(take)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }
  return Object.freeze({
    async use<T>(work: () => Promise<T>, signal: AbortSignal) {
      await enter(signal)
      try {
        return await work()
      } finally {
        leave()
      }
    },
  })
}
