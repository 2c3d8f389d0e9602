/**
 * A scripted workload on the simulated disk, with the power cut after every single disk operation and several draws of what survives. After each:
 * what was reported durable is there byte for byte, nothing is invented, the chain holds, the hard state is not older than what was released,
 * and the log goes on from there.
 */
import { describe, expect, it } from 'vitest'
import { StorageRig } from './rig.ts'
import { checkAfterEnd, Expected, runScript } from './script.ts'

function operationsOfScript(): number {
  const rig = new StorageRig('count')
  runScript(rig, new Expected())
  return rig.disk.operations
}

describe('a power cut after any disk operation', () => {
  const total = operationsOfScript()

  it.each([1, 2, 3, 4])('loses nothing that was reported durable and invents nothing (draw %i)', draw => {
    expect(total).toBeGreaterThan(60)
    for (let operation = 1; operation <= total; operation++) {
      const rig = new StorageRig(`${draw}/${operation}`)
      const expected = new Expected()
      rig.disk.crashAfter(operation)
      try {
        runScript(rig, expected)
      } catch (error) {
        // Storage may have caught the crash itself: then whatever it said or did since does not count.
        if (rig.disk.isInUse) throw error
      }
      rig.cutPower()
      // Background writes fall differently in every draw: the script may have ended before its crash came.
      rig.disk.crashAfter(Infinity)
      try {
        checkAfterEnd(rig, expected)
      } catch (error) {
        throw new Error(`draw ${draw}, crash after operation ${operation} of ${total}: ${(error as Error).message}`, { cause: error })
      }
    }
  })
})
