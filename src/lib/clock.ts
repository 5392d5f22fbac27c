/** The time, as a parameter: whoever needs it asks for a Clock, so a test can set it. */
export type Clock = () => Date

export const systemClock: Clock = () => new Date()

/** Whole seconds since 1970, as certificates and tokens count them. */
export const toSeconds = (date: Date): number => Math.floor(date.getTime() / 1000)

export const fromSeconds = (seconds: number): Date => new Date(seconds * 1000)

/** RFC 3339 in UTC with whole seconds, as the wire has it: `2026-11-22T10:00:00Z`. */
export const formatTime = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`
