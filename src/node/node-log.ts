/** The log of a node: pino, JSON lines for programs, short text lines on a terminal. Written synchronously in small batches, flushed at the end. */
import { pino, type Logger } from 'pino'
import type { LogFormat, LogLevel } from './config-table.ts'

export function nodeLogger(output: { readonly level: LogLevel; readonly format: LogFormat }, node: string): Logger {
  const isText = output.format === 'text' || (output.format === 'auto' && process.stdout.isTTY)
  const stream = isText ? { write: (line: string) => void process.stdout.write(textLine(line)) } : pino.destination({ fd: 1, sync: true })
  return pino({ level: output.level, base: { node }, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}

const levels: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

/** `12:03:44.120 n1 info became leader term=2`. */
function textLine(json: string): string {
  const { time, node, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${String(time).slice(11, 23)} ${String(node)} ${levels[Number(level)] ?? ''} ${String(msg)} ${rest.join(' ')}`.trimEnd() + '\n'
}
