import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { describe, expect, it } from 'vitest'
import { diskContract } from './disk-contract.ts'
import { realDisk } from './disk.ts'

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  do {
    await new Promise(resolve => setImmediate(resolve))
    if (Date.now() > end) throw new Error('did not happen within 10 s')
  } while (!condition())
}

function temporaryDirectory(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'raftmq-disk-'))
}

diskContract("the machine's disk", () => {
  const root = temporaryDirectory()
  return { disk: realDisk, root, until, close: () => fs.rmSync(root, { recursive: true }) }
})

describe("the machine's disk, beyond the contract", () => {
  it('reports a write that the system refuses, later and once', async () => {
    const root = temporaryDirectory()
    const file = realDisk.open(path.join(root, 'file'), { create: true })
    const results: (Error | undefined)[] = []
    // No file of this machine is so long.
    file.writeAndSync(Number.MAX_SAFE_INTEGER - 10, [new Uint8Array(5)], error => results.push(error))
    expect(results).toEqual([])
    await until(() => results.length > 0)
    expect(results[0]).toBeInstanceOf(Error)
    file.close()
    fs.rmSync(root, { recursive: true })
  })
})
