import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parseConfig } from '../node/config.ts'
import type { RecoveryPlan } from '../node/recover.ts'
import { mustExist } from '../platform/assert.ts'
import { nextSteps, planScreen } from './recover.ts'

beforeAll(() => {
  vi.stubEnv('FORCE_COLOR', undefined)
  vi.stubEnv('NO_COLOR', '1')
})
afterAll(() => {
  vi.unstubAllEnvs()
})

function screen(fields: Partial<RecoveryPlan>): string {
  const { nodes } = parseConfig('x.yaml', 'version: 1\nnodes: [{ id: n1, host: a }]\n')
  const plan = { lastIndex: 70, firstIndex: 1, committedIndex: 70, lastTerm: 7, term: 7, lastWallMs: Date.now() - 4_700, ...fields }
  const whole = { kind: 'possible', membership: { index: 1 }, self: { id: 1, name: 'n1' }, electors: [], remarks: [], ...plan }
  return planScreen(whole as unknown as RecoveryPlan, { node: mustExist(nodes[0], 'node'), answering: [], problems: [] })
}

test('what is kept names a range only where there is one, and the term once unless a higher one was seen', () => {
  expect(screen({})).toContain('Kept: everything that n1 holds.\n')
  expect(screen({})).toMatch(/the last of term 7, made .* \(4\.\d s ago\)\n/)
  expect(screen({ committedIndex: 68, term: 9 })).toContain('Kept: everything that n1 holds, entries 69 to 70 too, acknowledged or not.')
  expect(screen({ committedIndex: 68, term: 9 })).toContain('ago); it has seen term 9\n')
})

test('the next steps begin with the file, all of it in one edit', () => {
  expect(nextSteps('n3', ['n1', 'n2'])).toEqual([
    '  cluster.yaml, on every machine: write join: true for n1 and n2, in one edit',
    '  raftmq start -c cluster.yaml --node n3',
    '  n1: empty its directory, start it, then: raftmq cluster member add n1 -c cluster.yaml',
    '  n2: empty its directory, start it, then: raftmq cluster member add n2 -c cluster.yaml',
  ])
  expect(nextSteps('n1', [])).toEqual(['  raftmq start -c cluster.yaml --node n1'])
})
