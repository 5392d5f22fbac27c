const units = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** What a duration looks like: `90s`, `15m`, `1h`, `30d`. One whole number, one unit. */
export const durationPattern = /^[1-9][0-9]{0,8}[smhd]$/

/** Seconds of a duration; undefined for anything else (no zero, no sign, no fraction, no bare number). */
export const parseDuration = (text: string): number | undefined => {
  if (!durationPattern.test(text)) return undefined
  const unit = text.at(-1) as keyof typeof units
  return Number(text.slice(0, -1)) * units[unit]
}

/** The shortest duration that says exactly this many seconds: 300 becomes `5m`, 90 becomes `90s`. */
export const formatDuration = (seconds: number): string => {
  for (const [unit, size] of [
    ['d', units.d],
    ['h', units.h],
    ['m', units.m],
  ] as const) {
    if (seconds > 0 && seconds % size === 0) return `${seconds / size}${unit}`
  }
  return `${seconds}s`
}
