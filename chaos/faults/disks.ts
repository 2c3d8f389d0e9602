/** Disks that fill up or fail. The process that meets it stops itself; it is started again when the fault is over, on the same disk. */
import type { DiskOperation } from '../sim/disk-file.ts'
import type { Fault } from './fault.ts'

export const diskFull: Fault = {
  about: 'a disk has no more room, or only for a little more',
  lastsMs: () => [200, 8_000],
  strike: powers => {
    const target = powers.random.pick(powers.targets)
    if (target.isDiskBad) return undefined
    target.fillDisk(powers.random.pick([0, 500, 5_000, 50_000]))
    return () => target.mendDisk()
  },
}

const operations: readonly DiskOperation[] = ['write', 'write', 'sync', 'sync', 'rename', 'remove', 'syncDirectory', 'truncate', 'open']

export const diskFails: Fault = {
  about: 'one operation of a disk fails',
  lastsMs: () => [200, 8_000],
  strike: powers => {
    const target = powers.random.pick(powers.targets)
    if (target.isDiskBad) return undefined
    target.failDisk(powers.random.pick(operations))
    return () => target.mendDisk()
  },
}
