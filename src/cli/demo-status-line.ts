/** The line at the foot of the demo: who leads, who is out, what the clients have seen. Pure. */
import { count } from './terminal.ts'

export type NodeCondition = 'running' | 'down' | 'frozen' | 'cut off'

export interface DemoStatus {
  readonly nodes: readonly { readonly name: string; readonly condition: NodeCondition }[]
  readonly leader: string | undefined
  readonly isSending: boolean
  readonly sentPerSecond: number
  readonly acknowledged: number
  readonly onTheWay: number
  readonly errors: number
}

/** At most `columns` wide: a line that wraps could not be drawn over. What matters least stands last. */
export function statusLine(status: DemoStatus, columns: number): string {
  const nodes = status.nodes.map(({ name, condition }) => {
    if (condition !== 'running') return `${name} ${condition.toUpperCase()}`
    return name === status.leader ? `${name} LEADER` : name
  })
  const isServed = status.nodes.filter(({ condition }) => condition === 'running').length * 2 > status.nodes.length
  const parts = [
    nodes.join('  '),
    isServed ? (status.isSending ? `${status.sentPerSecond}/s` : 'traffic off') : 'no majority: sends wait',
    `acked ${count(status.acknowledged)}`,
    `on the way ${count(status.onTheWay)}`,
    `errors ${count(status.errors)}`,
  ]
  let line = ` ${parts[0] ?? ''}`
  for (const part of parts.slice(1)) if (line.length + 3 + part.length < columns) line += ` | ${part}`
  return line.slice(0, Math.max(0, columns - 1))
}
