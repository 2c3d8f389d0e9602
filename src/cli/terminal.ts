/** What people see: tables without frames, colours on a terminal only, JSON for programs. Progress and remarks go to standard error. */
import { stripVTControlCharacters, styleText } from 'node:util'
import Table from 'cli-table3'

export type OutputFormat = 'table' | 'json'

type Style = Parameters<typeof styleText>[0]

/** Colours only where someone sees them, and never against NO_COLOR. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  const isColoured = process.env.FORCE_COLOR !== undefined || (stream.isTTY && process.env.NO_COLOR === undefined)
  return isColoured ? styleText(style, text) : text
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** A remark for the person, not part of the result. */
export function remark(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined))
}

/** Columns without frames; headings in capitals as `ps` and `docker` do, so that cut and awk work. Numbers stand on the right. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
  }
  const inner = { left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' }
  const shown = new Table({
    chars: { ...none, ...inner },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    head: headings.map(heading => heading.toUpperCase()),
    colAligns: headings.map((_, column) => (rows.length > 0 && rows.every(row => typeof row[column] === 'number') ? 'right' : 'left')),
  })
  shown.push(...rows.map(row => row.map(cell => (typeof cell === 'number' ? count(cell) : cell))))
  return shown
    .toString()
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')
}

/** Items behind a label, as many to a line as `width` takes; what follows is indented. Colours take no room. */
export function wrapped(items: readonly string[], separator: string, width: number, label: string, indent: string): string[] {
  const lines: string[] = []
  let line = label
  let isEmpty = true
  for (const item of items) {
    const longer = isEmpty ? line + item : `${line}${separator}${item}`
    if (!isEmpty && stripVTControlCharacters(longer).length > width) {
      lines.push(line)
      line = indent + item
    } else line = longer
    isEmpty = false
  }
  return isEmpty ? lines : [...lines, line]
}

/** 1 234 567: thin enough to read, no locale to surprise. */
export function count(n: number): string {
  return Number.isInteger(n) ? String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ' ') : n.toFixed(1)
}

/** `1 message`, `2 messages`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

export function bytesShown(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`
}

/** `3.2 s`, `4 min`, `2 h`: how long something took or is ago. */
export function durationShown(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / 86_400_000)} d`
}
