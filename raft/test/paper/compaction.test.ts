/** Raft §7 and thesis 5: logs that no longer begin at the beginning. How files travel is not the core's business; what they mean for a log is. */
import { expect, test } from 'vitest'
import { Group } from './group.ts'

test('§7: only what has been applied is dropped from a log', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=4', 'settle', 'slow 1', 'cut 1', 'propose 1 count=4')
  expect(() => group.play('compact 1 below=7')).toThrow('compacted-unapplied')
  group.play('compact 1 below=6')
})

test('§7: index and term of the last entry that is gone stay known, for the next append is checked against them', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=4', 'settle', 'run ms=60', 'compact 2 below=6')
  expect(group.play('tell 2 from=1 kind=append prev=5/1 entries=6/1')).toEqual([])
  expect(group.log(2)).toBe('1 1 1 1 1 1')
})

test('§7: a peer that ends where a leader’s log begins is fed as any other', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=4', 'settle', 'cut 3', 'propose 1 count=2', 'settle', 'compact 1 below=6', 'heal', 'settle')
  expect(group.log(3)).toBe(group.log(1))
})

test('§7: every node compacts by itself, and nobody need know', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=6', 'settle', 'run ms=60', 'compact 2 below=5', 'compact 3 below=8', 'crash 1', 'run ms=2000')
  const leader = group.runUntilLed()
  group.play(`propose ${leader}`, 'settle', 'start 1', 'run ms=200')
  expect([group.log(1), group.log(2)]).toEqual([group.log(3), group.log(3)])
})

test('§7: what a follower has dropped it has applied: an append from before that place is no gap', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=4', 'settle', 'run ms=60', 'compact 2 below=5')
  expect(group.play('tell 2 from=1 kind=append prev=2/1 entries=3/1,4/1,5/1,6/1')).toEqual([])
  expect([group.log(2), group.commit(2)]).toEqual(['1 1 1 1 1 1', 5])
})

test('§7: a leader that no longer has what a follower needs sends it a snapshot instead', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'propose 1 count=6', 'settle', 'compact 1 below=8', 'heal', 'show')
  const said = group.play('settle', 'run ms=60')
  expect(said).toContain('1 says R-25-needs-snapshot')
  expect(said).toContain('1 > 3 snapshotOffer term 1 commit 7')
  expect(group.progress(1, 3).flow.kind).toBe('snapshot')
})

test('§7: with the snapshot the follower’s log begins anew, and appends go on behind it', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'propose 1 count=6', 'settle', 'compact 1 below=8', 'heal', 'settle')
  expect(group.play('snapshot 3 from=1 keeps=8')).toContain('3 judges the snapshot at 7/1: install')
  group.play('propose 1 count=2', 'settle', 'run ms=120')
  expect([group.state(3).log.firstIndex, group.log(3), group.commit(3)]).toEqual([8, group.log(1), 9])
})

test('§7: a snapshot that describes less than is committed here changes nothing', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=6', 'settle', 'run ms=60')
  expect(group.play('snapshot 3 from=1 at=4')).toEqual(['3 judges the snapshot at 4/1: old'])
  expect([group.commit(3), group.log(3)]).toEqual([7, '1 1 1 1 1 1 1'])
})

test('§7: a snapshot whose last entry is in the log takes nothing away from what follows it there', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=3', 'settle', 'cut 2', 'propose 1 count=2', 'settle')
  group.play('crash 3', 'start 3 applied=1')
  expect(group.commit(3)).toBe(1)
  expect(group.play('snapshot 3 from=1 at=4')).toEqual(['3 judges the snapshot at 4/1: held'])
  expect(group.log(3)).toBe('1 1 1 1 1 1')
})

test('§7: a log that contradicts the snapshot is dropped as a whole', () => {
  const group = new Group()
  group.play('elect 1', 'cut 1', 'propose 1 count=9', 'tick ms=700', 'elect 2', 'propose 2 count=3', 'settle')
  group.play('compact 2 below=6', 'compact 3 below=6', 'heal', 'settle')
  expect(group.log(1)).toBe('1 1 1 1 1 1 1 1 1 1')
  expect(group.play('snapshot 1 from=2 keeps=6')).toContain('1 judges the snapshot at 5/2: install')
  expect(group.log(1)).toBe('1 2 2 2 2')
})

test('thesis 5.1: what is in force when a log is compacted stays in force', () => {
  const group = new Group('3 spares=1')
  group.play('elect 1', 'run ms=60', 'change 1 add=4', 'run ms=1000', 'propose 1', 'run ms=60')
  const first = group.commit(1) + 1
  group.play(`compact 1 below=${first}`)
  expect(group.play('group 1')).toEqual(['1 group 1 2 3 4'])
  expect(group.state(1).members.history).toHaveLength(1)
})
