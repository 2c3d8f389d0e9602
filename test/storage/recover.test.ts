/**
 * `raftmq recover` without its command line: what is refused and why, what is written, and the power cut after every disk operation of it. The e2e test
 * (test/e2e/recover.test.ts) does it to real nodes.
 */
import { describe, expect, it } from 'vitest'
import { firstMembership, type LogIndex, type Membership, type NodeId } from '../../raft/index.ts'
import { carryOutRecovery, couldDecide, finishRecord, planRecovery, termLeap } from '../../src/node/recover.ts'
import { readRecoveryRecords, recoveryRecordName, type RecoveryRecord } from '../../src/storage/recovery-record.ts'
import { encodeManifest } from '../../src/storage/snapshot/manifest.ts'
import { completeName, incomingName } from '../../src/storage/snapshot/staging.ts'
import { checkpointAt, close, member, mustPlan, optionsOf, refusalOf, stoppedNode, three } from './recover-rig.ts'
import { append, rigDirectory, rigIdentity, StorageRig } from './rig.ts'

const word = { at: '2026-11-21T10:00:00.000Z', how: 'typed the name', forced: [] }

function recover(rig: StorageRig, options = optionsOf(rig)): RecoveryRecord {
  let result: { error: Error | undefined; record: RecoveryRecord } | undefined
  carryOutRecovery(options, mustPlan(options), word, (error, record) => (result = { error, record }))
  rig.scheduler.runUntilTrue(() => result !== undefined, 60_000)
  if (result === undefined) throw new Error('it did not end')
  if (result.error !== undefined) throw result.error
  return result.record
}

describe('what is said before anything is done', () => {
  it('tells the last entry, its term and time, what is known to be committed, and who voted', () => {
    const rig = stoppedNode('plan')
    const plan = mustPlan(optionsOf(rig, checkpointAt(7)))
    expect(plan).toMatchObject({ term: 1, firstIndex: 1, lastIndex: 10, lastTerm: 1, committedIndex: 7, isVoter: true, records: [] })
    expect(plan.lastWallMs).toBe(1_010)
    expect(plan.committedWallMs).toBe(1_007)
    expect(plan.electors.map(({ name }) => name)).toEqual(['n2', 'n3'])
    expect(plan.membership.index).toBe(1)
  })

  it('changes nothing: neither log nor term nor restart counter', () => {
    const rig = stoppedNode('look only')
    const before = rig.disk.files().map(path => [path, Buffer.from(rig.disk.contentOf(path) ?? []).toString('hex')])
    mustPlan(optionsOf(rig))
    expect(rig.disk.files().map(path => [path, Buffer.from(rig.disk.contentOf(path) ?? []).toString('hex')])).toEqual(before)
  })

  it('says when entries that were acknowledged may be gone from its end', () => {
    const rig = stoppedNode('doubt')
    const unseen = /no leader has gone through this log since its directory was made or its end was found torn or lost/
    expect(mustPlan(optionsOf(rig)).remarks).toEqual([expect.stringMatching(unseen)])
    const opened = rig.open()
    opened.hardState.trustRestored('tail')
    rig.settle()
    const end = opened.log.segments.at(-1)?.endPosition ?? 0
    close(rig, opened)
    expect(mustPlan(optionsOf(rig)).remarks).toEqual([])
    const segment = rig.disk.files().find(path => path.endsWith('.log')) ?? ''
    const file = optionsOf(rig).disk.open(segment, { create: false })
    file.writeSync(new Uint8Array(30).fill(7), end)
    file.close()
    expect(mustPlan(optionsOf(rig)).remarks).toEqual([expect.stringMatching(/record 11 at byte .* it was never synced and is cut off/)])
  })

  it('counts a majority of each half, ourselves included', () => {
    const plan = mustPlan(optionsOf(stoppedNode('count')))
    expect(couldDecide(plan, [])).toBe(false)
    expect(couldDecide(plan, [2])).toBe(true)
    const ids = (...numbers: number[]): NodeId[] => numbers as NodeId[]
    const joint: Membership = { ...three, members: ids(1, 2, 3, 4, 5).map(member), voters: ids(1, 2, 3), outgoing: ids(1, 4, 5), idMax: 5 }
    const halves = mustPlan(optionsOf(stoppedNode('halves', joint)))
    expect(halves.electors.map(({ name }) => name)).toEqual(['n2', 'n3', 'n4', 'n5'])
    expect(couldDecide(halves, [2, 3])).toBe(false)
    expect(couldDecide(halves, [2, 4])).toBe(true)
  })
})

describe('what is refused', () => {
  it('a directory without data', () => {
    expect(refusalOf(optionsOf(new StorageRig('none')))).toMatch(/there is no data of n1 in it/)
  })

  it('another node’s directory', () => {
    const rig = stoppedNode('foreign')
    const options = { ...optionsOf(rig), identity: { ...rigIdentity, nodeName: 'n2', nodeId: 2 } }
    expect(() => planRecovery(options)).toThrow(/belongs to node n1 \(1\), not to n2 \(2\)/)
  })

  it('a log without an entry', () => {
    const rig = new StorageRig('empty')
    close(rig, rig.open())
    expect(refusalOf(optionsOf(rig))).toMatch(/n1 holds no entry of any group/)
  })

  it('a node that is the only voter', () => {
    expect(refusalOf(optionsOf(stoppedNode('alone', firstMembership([member(1)]))))).toMatch(
      /only voter of its group: it needs nobody else/,
    )
  })

  it('a node that its log does not know', () => {
    expect(refusalOf(optionsOf(stoppedNode('stranger', firstMembership([member(2), member(3)]))))).toMatch(
      /n1 is no member of the group that its log knows, at entry 1/,
    )
  })

  it('a log that has rotted: nothing of it is cut off here', () => {
    const rig = stoppedNode('rot')
    const segment = rig.disk.files().find(path => path.endsWith('.log')) ?? ''
    rig.disk.flipBit(segment, 512 + 100)
    expect(refusalOf(optionsOf(rig))).toMatch(/were on this disk.*restore the file from a copy first/)
  })

  it('a log whose last segment has lost its head and its first record: what was in it may have been acknowledged, and nobody knows how much that was', () => {
    const rig = stoppedNode('lost end')
    const opened = rig.open()
    while (opened.log.segments.length < 2) {
      append(opened, 1, 1, 400)
      rig.flush(opened)
    }
    const end = (opened.log.segments[1]?.firstIndex ?? 0) - 1
    rig.kill()
    const path = `${rigDirectory}/log/${opened.log.segments[1]?.name}`
    expect(rig.disk.harm(path, 0, new Uint8Array(600).fill(7), false)).toBe(true)
    expect(refusalOf(optionsOf(rig))).toBe(
      `${path}: its head can't be read, and entries behind ${end} may have been acknowledged in it; restore the file, or move it away and do without them`,
    )
    const options = optionsOf(rig)
    options.disk.remove(path)
    expect(mustPlan(options).lastIndex).toBe(end)
  })

  it('a snapshot that waits to be installed: what is in the log is not what the node would start with', () => {
    const rig = stoppedNode('snapshot')
    const options = optionsOf(rig)
    options.disk.makeDirectory(`${rigDirectory}/${incomingName}`)
    const file = options.disk.open(`${rigDirectory}/${incomingName}/${completeName}`, { create: true })
    const digest = { high: 0, low: 0 } as never
    file.writeSync(
      encodeManifest({
        format: 1,
        term: 1,
        index: 40,
        lastWallMs: 1,
        digest,
        membership: '',
        files: [{ kind: 'state', name: 'state', bytes: 1, tag: '' }],
      }),
      0,
    )
    file.close()
    expect(refusalOf(options)).toMatch(/a snapshot at entry 40 was fetched and waits to be installed; start n1 once/)
  })

  it('a directory whose term and vote are lost', () => {
    const rig = stoppedNode('vote')
    const options = optionsOf(rig)
    options.disk.remove(`${rigDirectory}/hard-state`)
    expect(refusalOf(options)).toMatch(/its term and vote are lost/)
  })

  it('a learner is no voter, and says so', () => {
    const learner: Membership = { ...three, voters: [2, 3] as NodeId[] }
    expect(mustPlan(optionsOf(stoppedNode('learner', learner))).isVoter).toBe(false)
  })

  it('a log that is another one than what was looked at', () => {
    const rig = stoppedNode('moved')
    const options = optionsOf(rig)
    const plan = { ...mustPlan(options), lastIndex: 9 }
    expect(() => carryOutRecovery(options, plan, word, () => undefined)).toThrow(/ends with entry 10 now, not with 9; look again/)
  })
})

describe('what is done', () => {
  it('writes one config entry of a term far above, keeps all that was there, and puts it on record', () => {
    const rig = stoppedNode('done')
    const record = recover(rig, optionsOf(rig, checkpointAt(7)))
    expect(record).toMatchObject({
      at: word.at,
      node: 'n1',
      acknowledged: 'typed the name',
      before: { term: 1, lastIndex: 10, committedIndex: 7, membershipIndex: 1, voters: ['n1', 'n2', 'n3'] },
      after: { term: 1 + termLeap, index: 11 },
      isDone: true,
    })
    const opened = rig.open()
    expect(opened.recovered.last).toEqual({ term: 1 + termLeap, index: 11 })
    expect(opened.recovered.hardState).toEqual({ term: 1 + termLeap, votedFor: 1 })
    expect(opened.recovered.isVoteWithheld).toBe(false)
    const { membership } = opened.recovered.memberships.at(-1) ?? { membership: undefined }
    expect(membership).toMatchObject({ voters: [1], outgoing: [], idMax: 3 })
    expect(membership?.members.map(({ name }) => name)).toEqual(['n1'])
    expect(opened.log.entry(10 as LogIndex).term).toBe(1)
    expect(readRecoveryRecords(optionsOf(rig).disk, rigDirectory)).toEqual([record])
  })

  it('done twice is done once', () => {
    const rig = stoppedNode('twice')
    const record = recover(rig)
    expect(planRecovery(optionsOf(rig))).toEqual({ kind: 'done', record })
  })

  it('a withheld vote does not keep the only voter from leading', () => {
    const rig = stoppedNode('withheld')
    const options = optionsOf(rig)
    const file = options.disk.open(`${rigDirectory}/hard-state`, { create: false })
    file.writeSync(new Uint8Array(80), 0)
    file.syncSync()
    file.close()
    recover(rig, options)
    expect(rig.open().recovered.isVoteWithheld).toBe(false)
  })

  it('a damaged record of earlier recoveries is told, not overwritten', () => {
    const rig = stoppedNode('damaged')
    recover(rig)
    rig.disk.flipBit(`${rigDirectory}/${recoveryRecordName}`, 40, 1)
    expect(() => planRecovery(optionsOf(rig))).toThrow(/record of what was recovered here is damaged/)
  })

  it('the power may be cut after any disk operation: run again, it ends the same, and nothing that was held is lost', () => {
    const operations = ((): number => {
      const rig = stoppedNode('count operations')
      const before = rig.disk.operations
      recover(rig)
      return rig.disk.operations - before
    })()
    expect(operations).toBeGreaterThan(10)
    for (let after = 1; after <= operations; after++) {
      const rig = stoppedNode(`crash ${after}`)
      rig.disk.crashAfter(rig.disk.operations + after)
      try {
        recover(rig)
      } catch (error) {
        // Whatever it meets behind the cut, it meets as a dead process.
        if (rig.disk.isInUse) throw error
      }
      rig.cutPower()
      const options = optionsOf(rig)
      const outlook = planRecovery(options)
      if (outlook.kind === 'done') finishRecord(options.disk, rigDirectory)
      else if (outlook.kind === 'possible') recover(rig)
      else throw new Error(`after operation ${after}: ${outlook.problem}`)
      const records = readRecoveryRecords(optionsOf(rig).disk, rigDirectory)
      expect(records.length, `after operation ${after}`).toBe(1)
      expect(records[0]?.isDone).toBe(true)
      const opened = rig.open()
      expect(opened.recovered.last.index).toBe(11)
      expect(opened.recovered.memberships.at(-1)?.membership.voters).toEqual([1])
      for (let index = 2; index <= 10; index++) expect(opened.log.entry(index as LogIndex).term).toBe(1)
    }
  })
})
