/** A power cut after any disk operation of taking, fetching and installing a snapshot. */
import { describe, expect, it } from 'vitest'
import { mustExist } from '../../src/platform/assert.ts'
import { findSnapshot, readWhole } from '../../src/storage/snapshot/take-snapshot.ts'
import type { TakenSnapshot } from '../../src/storage/snapshot/take-snapshot.ts'
import { rigDirectory, StorageRig } from './rig.ts'
import { aFollower, aLeader, checkInstalled, contents, fetchAll, install, snapshots, take } from './snapshot-rig.ts'

/** Whether that many more disk operations were enough to cut the power in the middle of it. */
function crashes(rig: StorageRig, operations: number, act: () => void): boolean {
  rig.disk.crashAfter(rig.disk.operations + operations)
  try {
    act()
    return false
  } catch (error) {
    if (rig.disk.isInUse) throw error
    return true
  }
}

describe('a power cut after any disk operation', () => {
  it('of fetching and installing leaves the old log or the new one, never a mixture, and a second try succeeds', () => {
    const source = aLeader('crashes')
    const { rig: leader, opened } = source
    const taken = take(source)
    const bytes = contents(leader, taken)
    for (let operation = 1; ; operation++) {
      const { rig, checkpoints } = aFollower(`crash/${operation}`)
      const hasCrashed = crashes(rig, operation, () => {
        fetchAll(rig, taken.manifest, bytes)
        install(rig, checkpoints)
      })
      rig.cutPower()
      checkpoints.losePower()
      rig.disk.crashAfter(Infinity)
      const wasInstalled = install(rig, checkpoints) !== undefined
      const { lastId } = rig.open().log
      if (lastId.index !== 90) {
        expect(wasInstalled).toBe(false)
        expect(lastId).toEqual({ term: 2, index: 30 })
        fetchAll(rig, taken.manifest, bytes)
        install(rig, checkpoints)
      }
      checkInstalled(rig, opened)
      if (!hasCrashed) {
        expect(operation).toBeGreaterThan(60)
        return
      }
    }
  })

  it('of installing, and a state that has rotted then, leaves the old log or the new one, never a mixture', () => {
    const source = aLeader('crashes and rot')
    const taken = take(source)
    const bytes = contents(source.rig, taken)
    const ends = new Set<number>()
    const hasCrashedAfter = (operation: number, cut: number): boolean => {
      const { rig, checkpoints } = aFollower(`crash and rot/${operation}/${cut}`)
      fetchAll(rig, taken.manifest, bytes)
      const hasCrashed = crashes(rig, operation, () => install(rig, checkpoints))
      rig.cutPower()
      checkpoints.losePower()
      rig.disk.crashAfter(Infinity)
      const state = `${rigDirectory}/incoming/state`
      if (rig.disk.files().includes(state)) rig.disk.flipBit(state, 40, 0)
      install(rig, checkpoints)
      ends.add(rig.open().log.lastId.index)
      return hasCrashed
    }
    // What is left of names that were not synced differs from cut to cut.
    let operation = 1
    while (Array.from({ length: 16 }, (_, cut) => hasCrashedAfter(operation, cut)).includes(true)) operation++
    expect([...ends].sort()).toEqual([30, 90])
  })

  it('of installing, and a segment whose header has rotted then, is told with what helps: what is here is not to be thrown away by hand', () => {
    const source = aLeader('crashes and a header')
    const taken = take(source)
    const bytes = contents(source.rig, taken)
    let refusals = 0
    for (let operation = 1; ; operation++) {
      const { rig, checkpoints } = aFollower(`crash and header/${operation}`)
      fetchAll(rig, taken.manifest, bytes)
      const hasCrashed = crashes(rig, operation, () => install(rig, checkpoints))
      if (!hasCrashed) break
      rig.cutPower()
      checkpoints.losePower()
      rig.disk.crashAfter(Infinity)
      const waiting = rig.disk.files().filter(path => path.includes('/incoming/log/'))
      const isBegun = waiting.length < taken.manifest.files.filter(({ kind }) => kind === 'log').length
      const path = waiting.at(-1)
      if (!isBegun || path === undefined) continue
      for (const position of [20, 276]) rig.disk.flipBit(path, position, 1)
      // At every start the same: nothing is lost by trying again.
      for (let starts = 0; starts < 2; starts++) {
        expect(() => install(rig, checkpoints)).toThrow(/its header .*replace this member, with an empty directory/)
        expect(() => install(rig, checkpoints)).not.toThrow(/remove incoming/)
        refusals++
      }
      expect(rig.disk.files()).toContain(path)
    }
    expect(refusals).toBeGreaterThan(1)
  })

  it.each([
    ['leaves no snapshot or a whole one', false],
    ['a second one leaves that or the first, whole', true],
  ])('of taking %s', (_name, hasFirst) => {
    for (let operation = 1; ; operation++) {
      const source = aLeader(`taking/${operation}`)
      const { rig } = source
      if (hasFirst) take(source)
      let taken: TakenSnapshot | undefined
      const hasCrashed = crashes(rig, operation, () => {
        taken = take(source, hasFirst ? 95 : 90)
      })
      rig.cutPower()
      rig.disk.crashAfter(Infinity)
      const { disk } = rig.openOptions()
      const found = findSnapshot(disk, snapshots)
      expect(hasFirst ? [90, 95] : [undefined, 90]).toContain(found?.manifest.index)
      if (found !== undefined) expect(readWhole(disk, `${found.directory}/state`)).toHaveLength(found.manifest.files[0]?.bytes ?? 0)
      if (!hasCrashed) {
        expect(found).toEqual(mustExist(taken, 'taken'))
        return
      }
    }
  })
})
