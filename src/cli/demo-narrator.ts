/** What the demo says: live lines for people, or the same events as JSON lines; the verdict last. */
import { demoGroup, demoTopic, type DemoTraffic } from './demo-traffic.ts'
import type { LocalCluster } from './local-cluster.ts'
import { count, durationShown, paint, print } from './terminal.ts'

export interface DemoVerdict {
  readonly kind: 'verdict'
  readonly acknowledged: number
  readonly received: number
  readonly lost: number
  readonly appendedTwice: number
  readonly outOfOrder: number
  readonly replicasIdentical: boolean
  readonly redelivered: number
  readonly errors: number
  readonly failovers: readonly { readonly killed: string; readonly leader: string; readonly pausedMs: number }[]
  readonly ok: boolean
}

/** Live lines for people, or the same events as JSON lines. */
export class Narrator {
  readonly #isJson: boolean
  readonly #print: (line: string) => void
  readonly #startMs = performance.now()

  constructor(isJson: boolean, printLine: (line: string) => void = print) {
    this.#isJson = isJson
    this.#print = printLine
  }

  opening(cluster: LocalCluster, readyMs: number): void {
    const nodes = cluster.nodes.map(node => ({ name: node.name, client: cluster.endpoint(node.name), processId: node.pid ?? 0 }))
    if (this.#isJson) return this.#print(JSON.stringify({ kind: 'ready', readyMs: Math.round(readyMs), leader: cluster.leader, nodes }))
    this.#print(`${paint('bold', 'raftmq demo')} · 3 nodes in one group, ready in ${durationShown(readyMs)} · data in ${cluster.directory}`)
    this.#print('')
    for (const node of nodes)
      this.#print(
        `  ${node.name}  clients ${node.client}  process ${node.processId}  ${node.name === cluster.leader ? paint('green', 'LEADER') : 'follower'}`,
      )
    this.#print('')
    this.#print(`  topic ${demoTopic} · group ${demoGroup}`)
    this.#print('  official Node clients: 3 producers, 8 message groups, 1 push consumer')
    this.#print('')
  }

  event(kind: string, text: string, fields: Readonly<Record<string, unknown>>): void {
    const atMs = Math.round(performance.now() - this.#startMs)
    if (this.#isJson) this.#print(JSON.stringify({ kind, atMs, ...fields }))
    else this.#print(`  ${clock(atMs)}  ${text}`)
  }

  numbers(traffic: DemoTraffic): void {
    const { acknowledged, received, errors } = traffic.numbers()
    this.event('traffic', `acknowledged ${count(acknowledged)} · received ${count(received)} · repeated by their user ${errors}`, {
      acknowledged,
      received,
      errors,
    })
  }

  note(text: string): void {
    if (!this.#isJson) this.#print(text)
  }

  verdict(verdict: DemoVerdict, difference: string): void {
    if (this.#isJson) return this.#print(JSON.stringify(verdict))
    const line = (name: string, value: string, isGood: boolean): void =>
      this.#print(`  ${isGood ? paint('green', 'ok  ') : paint('red', 'FAIL')}  ${name.padEnd(34)} ${value}`)
    this.#print('')
    line(
      'acknowledged and received',
      `${count(verdict.received)} of ${count(verdict.acknowledged)}`,
      verdict.received === verdict.acknowledged,
    )
    line('acknowledged and lost', String(verdict.lost), verdict.lost === 0)
    line('appended twice', String(verdict.appendedTwice), verdict.appendedTwice === 0)
    line('out of order in their group', String(verdict.outOfOrder), verdict.outOfOrder === 0)
    line('replicas byte for byte identical', verdict.replicasIdentical ? 'yes' : difference, verdict.replicasIdentical)
    this.#print('')
    for (const { killed, leader, pausedMs } of verdict.failovers)
      this.#print(`  ${killed} killed, ${leader} took over: no accepted send for ${pausedMs} ms`)
    this.#print(
      `  sends that their user had to repeat: ${verdict.errors} (the Node client pins a message group to one node, here a dead one)`,
    )
    this.#print(`  redelivered: ${verdict.redelivered}`)
    this.#print('    what was delivered but not acknowledged in time comes again; not a second append')
    this.#print('')
    this.#print(verdict.ok ? paint('green', 'Nothing acknowledged was lost.') : paint('red', 'The verdict is NOT ok.'))
  }
}

function clock(ms: number): string {
  const minutes = String(Math.floor(ms / 60_000)).padStart(2, '0')
  return `${minutes}:${((ms % 60_000) / 1000).toFixed(3).padStart(6, '0')}`
}
