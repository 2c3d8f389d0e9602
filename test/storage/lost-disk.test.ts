/** Another disk in the place of the first: what was on that is known by its inventory alone, and a directory begins anew. */
import { expect, it } from 'vitest'
import { DiskLog } from '../../chaos/true-log.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, logFiles, rigDirectory, StorageRig } from './rig.ts'

it('a lost disk held what it had synced, and the one in its place holds nothing', () => {
  const rig = new StorageRig('lost disk')
  const first = rig.open()
  append(first, 3, 5)
  rig.flush(first)
  append(first, 4, 2)
  const log = new DiskLog(rig.disk, `${rigDirectory}/log`)
  expect(log.durableTo(3, 3)).toBe(true)
  const held = log.inventory()
  rig.kill()
  rig.disk.replace()
  log.forget()
  expect(([1, 3, 5, 6] as const).map(index => held(index, index < 6 ? 3 : 4))).toEqual([true, true, true, false])
  expect(held(5, 4)).toBe(false)
  expect([log.durableTo(1, 3), log.holdsNow(1, 3)]).toEqual([false, false])
  expect(rig.disk.files()).toEqual([])
  const second = rig.open()
  expect(second.recovered.last.index).toBe(0)
  expect(Buffer.from(second.directoryId)).not.toEqual(Buffer.from(first.directoryId))
})

it('a rotten disk held what its node cut off as torn, for who heard of it before, until another entry stands there or it is another disk (seed 80002242)', () => {
  const rig = new StorageRig('rotten end')
  const first = rig.open()
  append(first, 3, 5)
  rig.flush(first)
  const log = new DiskLog(rig.disk, `${rigDirectory}/log`)
  rig.kill()
  const path = mustExist(logFiles(rig)[0], 'segment')
  const inFifth = segmentHeaderBytes + 4 * (recordHeaderBytes + 40) + 60
  expect(rig.disk.harm(path, inFifth, Uint8Array.of(1), false)).toBe(true)
  log.rotted()
  const again = rig.open()
  expect(again.recovered).toMatchObject({ last: { index: 4 }, hasTornTail: true })
  expect([log.durableTo(4, 3), log.durableTo(5, 3), log.durableTo(5, 4), log.durableTo(6, 3)]).toEqual([true, true, false, false])
  expect([log.holdsNow(5, 3), log.inventory()(5, 3)]).toEqual([false, true])
  append(again, 4, 1)
  rig.flush(again)
  expect([log.durableTo(5, 3), log.durableTo(5, 4)]).toEqual([false, true])
  const other = new DiskLog(rig.disk, `${rigDirectory}/log`)
  other.rotted()
  rig.kill()
  rig.disk.replace()
  expect(other.durableTo(5, 4)).toBe(true)
  other.forget()
  expect(other.durableTo(5, 4)).toBe(false)
})

it('a torn end is one that the node can see: not behind zeros that a lost write has left in the place of a record (seed 92000007)', () => {
  const rig = new StorageRig('torn behind zeros')
  const first = rig.open()
  append(first, 3, 30)
  rig.flush(first)
  rig.kill()
  const path = mustExist(logFiles(rig)[0], 'segment')
  const end = segmentHeaderBytes + 30 * (recordHeaderBytes + 40)
  const file = rig.disk.openProcess().open(path, { create: false })
  file.writeSync(new Uint8Array(20).fill(7), end)
  file.syncSync()
  const log = new DiskLog(rig.disk, `${rigDirectory}/log`)
  expect(log.endsTorn()).toBe(true)
  expect(rig.disk.harm(path, end - 2 * (recordHeaderBytes + 40), new Uint8Array(recordHeaderBytes), false)).toBe(true)
  expect(log.endsTorn()).toBe(false)
  expect(rig.open().recovered).toMatchObject({ last: { index: 28 } })
})
