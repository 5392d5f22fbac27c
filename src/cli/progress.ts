const barWidth = 30

/** `[##########                    ]  33 %  web-1.log: 1000 lines` */
export const formatBar = (share: number, words: string): string => {
  const part = Math.min(1, share)
  const bar = '#'.repeat(Math.round(part * barWidth)).padEnd(barWidth)
  return `[${bar}] ${String(Math.floor(part * 100)).padStart(3)} %  ${words}`
}
