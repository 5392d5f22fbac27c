const barWidth = 30

/** `[##########                    ]  33 %  web-1.log: 1000 lines` */
export const formatBar = (share: number, words: string): string => {
  // Where a log grew since it was measured, what is left of it may be more than all, or no number.
  const part = share > 0 ? Math.min(1, share) : 0
  const bar = '#'.repeat(Math.round(part * barWidth)).padEnd(barWidth)
  return `[${bar}] ${String(Math.floor(part * 100)).padStart(3)} %  ${words}`
}
