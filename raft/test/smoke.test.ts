import { expect, test } from 'vitest'
import { MiniCluster } from './mini-cluster.ts'
test('elects and commits', () => {
  const lines: string[] = []
  const c = new MiniCluster(3, {}, { roleChange: (n, ch) => lines.push(`${c.nowMs} ${n.id} ${ch.from}->${ch.to} t${ch.term} ${ch.reason}`), refusal: (n, r) => lines.push(`${n.id} ${r}`), commit: (n, i) => lines.push(`${n.id} commits ${i}`) })
  c.run(1000)
  c.propose(c.leader()!.id, 5)
  c.settle()
  console.log(lines.join('\n'), c.core(1).status(c.nowMs))
  expect(c.ledger.committed.length).toBe(6)
})
