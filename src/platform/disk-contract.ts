/**
 * What every Disk must do, as a suite of tests: run on the machine's disk (disk.test.ts) and on the simulated one (chaos/sim/disk.test.ts).
 * What only a power cut can show (what is durable when) is the simulated disk's own test.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Disk, DiskFile } from './disk.ts'

export interface DiskHarness {
  readonly disk: Disk
  /** An existing, empty directory. */
  readonly root: string
  /** Lets time pass until the condition holds; throws when it does not within a few seconds. */
  until(condition: () => boolean): Promise<void>
  close(): void
}

/** Runs the suite on the disk that `makeHarness` makes. */
export function diskContract(name: string, makeHarness: () => DiskHarness): void {
  describe(`${name}: the contract of a disk`, () => {
    let harness: DiskHarness
    let disk: Disk
    let path: string

    beforeEach(() => {
      harness = makeHarness()
      disk = harness.disk
      path = `${harness.root}/file`
    })

    afterEach(() => harness.close())

    /** Waits for one callback; returns its error. */
    async function finished(start: (done: (error: Error | undefined) => void) => void): Promise<Error | undefined> {
      const results: (Error | undefined)[] = []
      start(error => results.push(error))
      expect(results).toEqual([])
      await harness.until(() => results.length > 0)
      expect(results).toHaveLength(1)
      return results[0]
    }

    it('refuses to open a file that is not there, unless it may create it', () => {
      expect(() => disk.open(path, { create: false })).toThrow(/ENOENT/)
      expect(() => disk.open(`${harness.root}/none/file`, { create: true })).toThrow(/ENOENT/)
      const file = disk.open(path, { create: true })
      expect(file.sizeBytes()).toBe(0)
      expect(file.path).toBe(path)
      file.close()
      disk.open(path, { create: false }).close()
    })

    it('opens for writing without changing what is there', () => {
      withText(disk, path, 'kept')
      const file = disk.open(path, { create: true })
      expect(text(file)).toBe('kept')
      file.close()
    })

    it('gives back what was written, wherever it was written', () => {
      const file = disk.open(path, { create: true })
      file.writeSync(Buffer.from('world'), 6)
      file.writeSync(Buffer.from('hello '), 0)
      expect(file.sizeBytes()).toBe(11)
      expect(text(file)).toBe('hello world')
      file.close()
    })

    it('reads zeros where nothing was written, and as much as there is at the end', () => {
      const file = disk.open(path, { create: true })
      file.writeSync(Buffer.from('x'), 600)
      const target = new Uint8Array(100).fill(9)
      expect(file.readSync(target, 0)).toBe(100)
      expect(target.every(byte => byte === 0)).toBe(true)
      expect(file.readSync(target, 550)).toBe(51)
      expect(file.readSync(target, 601)).toBe(0)
      expect(file.readSync(target, 5_000)).toBe(0)
      file.close()
    })

    it('writes several buffers one behind the other, then calls back', async () => {
      const file = disk.open(path, { create: true })
      const parts = ['one ', '', 'two ', 'three'].map(part => Buffer.from(part))
      expect(await finished(done => file.writeAndSync(2, parts, done))).toBeUndefined()
      expect(text(file)).toBe('\0\0one two three')
      expect(await finished(done => file.write(6, [Buffer.from('TWO'), Buffer.from('+')], done))).toBeUndefined()
      expect(await finished(done => file.sync(done))).toBeUndefined()
      expect(text(file)).toBe('\0\0one TWO+three')
      file.close()
    })

    it('writes large pieces whole', async () => {
      const file = disk.open(path, { create: true })
      const large = new Uint8Array(700_000).map((_, i) => i % 251)
      expect(await finished(done => file.writeAndSync(10, [large.subarray(0, 300_001), large.subarray(300_001)], done))).toBeUndefined()
      const back = new Uint8Array(large.length)
      expect(file.readSync(back, 10)).toBe(large.length)
      expect(Buffer.compare(back, large)).toBe(0)
      file.close()
    })

    it('calls back also when there is nothing to write', async () => {
      const file = disk.open(path, { create: true })
      expect(await finished(done => file.write(0, [], done))).toBeUndefined()
      expect(await finished(done => file.writeAndSync(0, [new Uint8Array(0)], done))).toBeUndefined()
      expect(file.sizeBytes()).toBe(0)
      file.close()
    })

    it('shortens and lengthens a file', () => {
      const file = disk.open(path, { create: true })
      file.writeSync(Buffer.from('0123456789'), 0)
      file.truncateSync(4)
      expect(text(file)).toBe('0123')
      file.truncateSync(6)
      expect(text(file)).toBe('0123\0\0')
      file.syncSync()
      file.close()
    })

    it('lists names in order, files and directories, of one directory only', () => {
      expect(disk.list(`${harness.root}/none`)).toEqual([])
      disk.makeDirectory(`${harness.root}/b/deep`)
      withText(disk, `${harness.root}/c`, '')
      withText(disk, `${harness.root}/a`, '')
      withText(disk, `${harness.root}/b/inner`, '')
      expect(disk.list(harness.root)).toEqual(['a', 'b', 'c'])
      expect(disk.list(`${harness.root}/b`)).toEqual(['deep', 'inner'])
      disk.makeDirectory(`${harness.root}/b`)
    })

    it('knows what exists', () => {
      withText(disk, path, '')
      expect([path, harness.root, `${harness.root}/none`].map(one => disk.exists(one))).toEqual([true, true, false])
    })

    it('renames over what is there, and an open handle goes on with its file', () => {
      withText(disk, path, 'new')
      withText(disk, `${path}.old`, 'old')
      const handle = disk.open(`${path}.old`, { create: false })
      disk.rename(path, `${path}.old`)
      disk.syncDirectory(harness.root)
      expect(disk.list(harness.root)).toEqual(['file.old'])
      expect(text(handle)).toBe('old')
      handle.close()
      const renamed = disk.open(`${path}.old`, { create: false })
      expect(text(renamed)).toBe('new')
      renamed.close()
      expect(() => disk.rename(`${harness.root}/none`, path)).toThrow(/ENOENT/)
    })

    it('removes a name; who has the file open still reads it', () => {
      withText(disk, path, 'still here')
      const handle = disk.open(path, { create: false })
      disk.remove(path)
      expect(disk.exists(path)).toBe(false)
      expect(text(handle)).toBe('still here')
      handle.close()
      expect(() => disk.remove(path)).toThrow(/ENOENT/)
    })

    it('removes a name in the background, and tells there that it is not there', async () => {
      withText(disk, path, 'gone')
      expect(await finished(done => disk.removeLater(path, done))).toBeUndefined()
      expect(disk.exists(path)).toBe(false)
      expect((await finished(done => disk.removeLater(path, done)))?.message).toMatch(/ENOENT/)
    })

    it('closes twice without complaint, and nothing can be done afterwards', () => {
      const file = disk.open(path, { create: true })
      file.close()
      file.close()
      expect(() => file.writeSync(new Uint8Array(1), 0)).toThrow(/closed/)
      expect(() => file.readSync(new Uint8Array(1), 0)).toThrow(/closed/)
      expect(() => file.sizeBytes()).toThrow(/closed/)
    })
  })
}

function text(file: DiskFile): string {
  const bytes = new Uint8Array(file.sizeBytes())
  expect(file.readSync(bytes, 0)).toBe(bytes.length)
  return Buffer.from(bytes).toString()
}

function withText(disk: Disk, path: string, content: string): void {
  const file = disk.open(path, { create: true })
  file.writeSync(Buffer.from(content), 0)
  file.close()
}
