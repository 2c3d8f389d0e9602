import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../../raft/index.ts'
import { append, bodyOf, entryBody, StorageRig } from './rig.ts'

describe('the commit log', () => {
  it('gives back what was appended, at once and after a restart', () => {
    const rig = new StorageRig(1)
    const opened = rig.open()
    append(opened, 1, 300, 200)
    rig.flush(opened)
    expect(opened.log.entry(7 as LogIndex).body).toEqual(bodyOf(1, 7, 200))
    rig.cutPower()
    const again = rig.open()
    expect(again.log.lastId).toEqual({ term: 1, index: 300 })
    for (const index of [1, 2, 77, 150, 299, 300]) {
      const entry = again.log.entry(index as LogIndex)
      expect(Buffer.from(entry.body).equals(bodyOf(1, index, 200))).toBe(true)
      expect(entry).toMatchObject({ index, term: 1, kind: 1, wallMs: 1_000 + index })
    }
    expect(again.recovered.incarnation).toBe(2)
    expect(entryBody(new Uint8Array(3)).bytes).toBe(3)
  })
})
