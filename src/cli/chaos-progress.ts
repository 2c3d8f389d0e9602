/** What `raftmq chaos sim` shows while it runs: one line that is drawn over, on a terminal only. Pure. */

export interface SimProgress {
  readonly done: number
  readonly of: number
  readonly failed: number
  readonly simulatedMs: number
  readonly seconds: number
}

const barSignsMax = 24
const barSignsMin = 6

/** At most `columns - 1` wide: a line that wraps could not be drawn over. The bar gives way first. */
export function simProgressLine({ done, of, failed, simulatedMs, seconds }: SimProgress, columns: number): string {
  const rate = seconds > 0 ? done / seconds : 0
  const hours = (simulatedMs / 3_600_000).toFixed(1)
  const broken = failed === 0 ? '' : `, ${failed} FAILED`
  const text = `${done} of ${of} seeds${broken}, ${rate.toFixed(1)} a second, ${hours} hours simulated`
  const signs = Math.min(barSignsMax, columns - text.length - 2)
  if (signs < barSignsMin) return text.slice(0, Math.max(0, columns - 1))
  const filled = Math.min(signs, Math.floor((signs * done) / of))
  return `${'█'.repeat(filled)}${'░'.repeat(signs - filled)} ${text}`
}
