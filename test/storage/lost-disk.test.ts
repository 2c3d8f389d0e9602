/** Another disk in the place of the first: what was on that is known by its inventory alone, and a directory begins anew. */
import { expect, it } from 'vitest'
import { DiskLog } from '../../chaos/true-log.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

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
