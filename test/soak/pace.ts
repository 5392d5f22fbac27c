/** Whether a run goes on, told how far it is. */
export type GoesOn = (done: number, of: number) => boolean

export const always: GoesOn = () => true

export interface Pace {
  readonly goesOn: GoesOn
  /** From here on no run goes on: each ends with what it has seen. */
  end(): void
}

/** Ends a run after so many milliseconds or when it is told to, and says once a minute how far it is. */
export const createPace = (given: {
  readonly within: number
  readonly say: (line: string) => void
  readonly monotonic?: () => number
}): Pace => {
  const { within, say, monotonic = () => performance.now() } = given
  const start = monotonic()
  let isEnded = false
  let minutes = 0
  return {
    goesOn(done, of) {
      const passed = monotonic() - start
      if (passed >= (minutes + 1) * 60_000) {
        minutes = Math.floor(passed / 60_000)
        say(`${done} of ${of} after ${minutes} min`)
      }
      return !isEnded && passed < within
    },
    end() {
      isEnded = true
    },
  }
}
