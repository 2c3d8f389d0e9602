/**
 * A handle of a simulated file: the file half of the disk seam. It belongs to one process life; when that ends it throws, and none of its callbacks
 * runs. What it does to the bytes is disk-image.ts; when things happen and what fails is decided by the disk (`DiskAccess`).
 */
import { assert } from '../../src/platform/assert.ts'
import type { DiskCallback, DiskFile } from '../../src/platform/disk.ts'
import type { DiskImage } from './disk-image.ts'
import type { SimProcess } from './scheduler.ts'

export type DiskOperation = 'read' | 'write' | 'sync' | 'truncate' | 'open' | 'rename' | 'remove' | 'syncDirectory'

/** One process's time with the disk. */
export interface Life {
  isAlive: boolean
  readonly process: SimProcess | undefined
  /** Writes that have been asked for and have not reached the page cache. */
  readonly flying: Set<() => void>
}

/** What a file handle may do to its disk. */
export interface DiskAccess {
  check(operation: DiskOperation, filePath: string): void
  write(image: DiskImage, source: Uint8Array, position: number): void
  done(): void
  after(operation: 'write' | 'sync', run: () => void): void
  call(life: Life, done: DiskCallback, error: Error | undefined): void
}

/** An open file of one process life. */
export class SimulatedFile implements DiskFile {
  readonly path: string
  readonly #image: DiskImage
  readonly #life: Life
  readonly #access: DiskAccess
  #isOpen = true
  #underWay = 0

  constructor(filePath: string, image: DiskImage, life: Life, access: DiskAccess) {
    this.path = filePath
    this.#image = image
    this.#life = life
    this.#access = access
  }

  sizeBytes(): number {
    this.#mustBeOpen()
    return this.#image.sizeBytes
  }

  readSync(target: Uint8Array, position: number): number {
    this.#mustBeOpen()
    this.#access.check('read', this.path)
    return this.#image.read(target, position)
  }

  writeSync(source: Uint8Array, position: number): void {
    this.#mustBeOpen()
    this.#access.check('write', this.path)
    this.#access.write(this.#image, source, position)
    this.#access.done()
  }

  syncSync(): void {
    this.#mustBeOpen()
    this.#sync(this.#image.sequence)
    this.#access.done()
  }

  truncateSync(sizeBytes: number): void {
    this.#mustBeOpen()
    this.#access.check('truncate', this.path)
    this.#image.truncate(sizeBytes)
    this.#access.done()
  }

  writeAndSync(position: number, buffers: readonly Uint8Array[], done: DiskCallback): void {
    this.write(position, buffers, error => {
      if (error !== undefined) return done(error)
      this.sync(done)
    })
  }

  write(position: number, buffers: readonly Uint8Array[], done: DiskCallback): void {
    this.#mustBeOpen()
    this.#underWay++
    // The buffers are looked at when the write lands: who changes lent memory is found out.
    const land = (): void => {
      let at = position
      for (const buffer of buffers) {
        this.#access.write(this.#image, buffer, at)
        at += buffer.length
      }
    }
    this.#life.flying.add(land)
    this.#access.after('write', () => {
      if (!this.#life.flying.delete(land)) return
      this.#finish(done, () => {
        this.#access.check('write', this.path)
        land()
      })
    })
  }

  sync(done: DiskCallback): void {
    this.#mustBeOpen()
    this.#underWay++
    const startedAt = this.#image.sequence
    this.#access.after('sync', () => {
      if (this.#life.isAlive) this.#finish(done, () => this.#sync(startedAt))
    })
  }

  close(): void {
    if (!this.#isOpen) return
    mustLive(this.#life, this.path)
    assert(this.#underWay === 0, 'closed-under-way', this.path)
    this.#isOpen = false
  }

  /** Carries out an operation whose time has come and tells the process; a simulated crash passes through. */
  #finish(done: DiskCallback, operation: () => void): void {
    let failed: Error | undefined
    try {
      operation()
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error
      failed = error
    }
    this.#access.done()
    this.#access.call(
      this.#life,
      error => {
        this.#underWay--
        done(error)
      },
      failed,
    )
  }

  #sync(startedAt: number): void {
    try {
      this.#access.check('sync', this.path)
    } catch (error) {
      this.#image.dropDirty()
      throw error
    }
    this.#image.sync(startedAt)
  }

  #mustBeOpen(): void {
    mustLive(this.#life, this.path)
    if (!this.#isOpen) throw new Error(`${this.path} is closed`)
  }
}

export function mustLive(life: Life, filePath: string): void {
  if (!life.isAlive) throw new Error(`${filePath}: the process that used it is dead`)
}

/** An error of the system, as node reports them. */
class DiskFailure extends Error {
  readonly code: string

  constructor(code: string, what: string) {
    super(`${code}: ${what}`)
    this.name = 'DiskFailure'
    this.code = code
  }
}

export function failure(code: string, what: string): DiskFailure {
  return new DiskFailure(code, what)
}

export function isFailure(error: unknown): boolean {
  return error instanceof DiskFailure
}
