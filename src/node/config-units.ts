/** Values of the configuration file: durations, sizes, addresses. Each parser gives the value or a sentence that says what is wrong and what to write. */

export type Parsed<T> = { readonly kind: 'ok'; readonly value: T } | { readonly kind: 'bad'; readonly problem: string }

/** Where to listen or to dial. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

export function ok<T>(value: T): Parsed<T> {
  return { kind: 'ok', value }
}

export function bad(problem: string): { readonly kind: 'bad'; readonly problem: string } {
  return { kind: 'bad', problem }
}

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const

/** Milliseconds of `250ms`, `10s`, `5m`, `72h` or `7d`. */
export function parseDuration(value: unknown): Parsed<number> {
  return parseUnits(value, 'duration', durationUnits, '250ms, 10s or 5m')
}

/** Bytes of `64KiB`, `4MiB` or `1GiB`. */
export function parseSize(value: unknown): Parsed<number> {
  return parseUnits(value, 'size', sizeUnits, '64KiB, 4MiB or 1GiB')
}

/** A share, 0 to 1, of `75%`. */
export function parsePercent(value: unknown): Parsed<number> {
  const match = typeof value === 'string' ? /^(\d{1,3}(?:\.\d+)?) ?%$/.exec(value) : null
  const percent = Number(match?.[1])
  if (match === null || percent > 100) return bad(`${shown(value)} is not a share; write one like 75%`)
  return ok(percent / 100)
}

/** As `parsePercent` reads it. */
export function formatPercent(share: number): string {
  return `${Math.round(share * 1_000) / 10}%`
}

function parseUnits(value: unknown, what: string, units: Readonly<Record<string, number>>, examples: string): Parsed<number> {
  if (typeof value === 'number') return bad(`${value} has no unit; write a ${what} like ${examples}`)
  if (typeof value !== 'string') return bad(`${shown(value)} is not a ${what}; write one like ${examples}`)
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(value)
  if (match === null) return bad(`${shown(value)} is not a ${what}; write one like ${examples}`)
  const [, digits = '', unit = ''] = match
  if (unit === '') return bad(`${digits} has no unit; write a ${what} like ${examples}`)
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (factor === undefined) return bad(`${shown(value)}: there is no ${what} unit ${unit}; use ${Object.keys(units).join(', ')}`)
  const total = Number(digits) * factor
  if (!Number.isSafeInteger(total)) return bad(`${shown(value)} is not a whole number of ${what === 'size' ? 'bytes' : 'milliseconds'}`)
  return ok(total)
}

/** The shortest text that `parseDuration` reads as this many milliseconds. */
export function formatDuration(ms: number): string {
  return format(ms, durationUnits)
}

/** The shortest text that `parseSize` reads as this many bytes. */
export function formatSize(bytes: number): string {
  return format(bytes, sizeUnits)
}

function format(value: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, factor]) => value % factor === 0 && value >= factor)
  const [unit, factor] = fitting.at(-1) ?? Object.entries(units)[0] ?? ['', 1]
  return `${value / factor}${unit}`
}

/** `host:port`, `:port` (all interfaces) or `[v6]:port`. Port 0 asks the system for a free one. */
export function parseHostPort(value: unknown): Parsed<HostPort> {
  if (typeof value !== 'string') return bad(`${shown(value)} is not an address; write one like 0.0.0.0:8081`)
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]*)):(\d{1,5})$/.exec(value)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) return bad(`${shown(value)} is not an address; write one like 0.0.0.0:8081`)
  const host = match[1] ?? match[2] ?? ''
  return ok({ host: host === '' ? '0.0.0.0' : host, port })
}

export function formatHostPort(address: HostPort): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** A value as it may stand in a sentence. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`
}

/** The known word nearest to a mistyped one; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const bound = Math.max(2, Math.floor(word.length / 3))
  let best: string | undefined
  let bestDistance = bound + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, removals, replacements and swaps of neighbours that make one word the other. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let distance = Math.min((row[j - 1] ?? 0) + 1, (previous[j] ?? 0) + 1, (previous[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) distance = Math.min(distance, (before[j - 2] ?? 0) + 1)
      row.push(distance)
    }
    before = previous
    previous = row
  }
  return previous[b.length] ?? 0
}
