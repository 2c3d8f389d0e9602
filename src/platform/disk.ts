/**
 * The disk seam. All disk access but LevelDB's goes through it, so that the simulator sees every write and every sync.
 * Two halves: synchronous calls for start, stop and rare administrative work; callback calls for the hot path (no promise per write).
 * What is written is only safe after a sync returned without an error; names (create, rename, remove) only after `syncDirectory`.
 * Any error of a write or a sync is final for the file: the caller poisons itself, a sync is never retried (the next one may lie).
 * The contract suite is src/platform/disk-contract.ts; it runs on this implementation and on chaos/sim/disk.ts.
 */
import * as fs from 'node:fs'
import * as path from 'node:path'

export type DiskCallback = (error: Error | undefined) => void

export interface DiskFile {
  readonly path: string
  sizeBytes(): number
  /** Fills as much of `target` as the file has at `position`; returns the bytes read (0 at or behind the end). */
  readSync(target: Uint8Array, position: number): number
  /** Writes all of `source` at `position`, growing the file where needed. Not durable before a sync. */
  writeSync(source: Uint8Array, position: number): void
  /** fdatasync, blocking. */
  syncSync(): void
  truncateSync(sizeBytes: number): void
  /** Writes the buffers one after another at `position`, then syncs data. `done` never runs before this call has returned. Buffers are lent until `done`. */
  writeAndSync(position: number, buffers: readonly Uint8Array[], done: DiskCallback): void
  /** Like writeAndSync without the sync: for zero-filling ahead. */
  write(position: number, buffers: readonly Uint8Array[], done: DiskCallback): void
  /** fdatasync. `done` never runs before this call has returned. */
  sync(done: DiskCallback): void
  /** Idempotent. Must not be called while a callback call is under way. */
  close(): void
}

export interface Disk {
  /** Names in a directory, sorted; empty when there is no such directory. */
  list(directory: string): readonly string[]
  exists(path: string): boolean
  /** Creates it and its parents, and syncs each parent. */
  makeDirectory(directory: string): void
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): void
  /** Opens for reading and writing. Throws when it is missing and `create` is false. */
  open(path: string, options: { readonly create: boolean }): DiskFile
  rename(from: string, to: string): void
  remove(path: string): void
  /** Removes a file, however large, without holding up the caller, and makes that durable. `done` never runs before this call has returned. */
  removeLater(path: string, done: DiskCallback): void
  /** Room on the file system that holds `path`. */
  space(path: string): DiskSpace
}

export interface DiskSpace {
  readonly totalBytes: number
  /** What we may still write. */
  readonly freeBytes: number
}

/** Writes up to this size go to the page cache on the calling thread: cheaper than a thread's hop, and far below 1 ms. */
const inlineWriteBytesMax = 256 * 1024

class RealFile implements DiskFile {
  readonly path: string
  #fd: number | undefined

  constructor(filePath: string, fd: number) {
    this.path = filePath
    this.#fd = fd
  }

  get #open(): number {
    if (this.#fd === undefined) throw new Error(`${this.path} is closed`)
    return this.#fd
  }

  sizeBytes(): number {
    return fs.fstatSync(this.#open).size
  }

  readSync(target: Uint8Array, position: number): number {
    let total = 0
    while (total < target.length) {
      const count = fs.readSync(this.#open, target, total, target.length - total, position + total)
      if (count === 0) break
      total += count
    }
    return total
  }

  writeSync(source: Uint8Array, position: number): void {
    let total = 0
    while (total < source.length) total += fs.writeSync(this.#open, source, total, source.length - total, position + total)
  }

  syncSync(): void {
    fs.fdatasyncSync(this.#open)
  }

  truncateSync(sizeBytes: number): void {
    fs.ftruncateSync(this.#open, sizeBytes)
  }

  writeAndSync(position: number, buffers: readonly Uint8Array[], done: DiskCallback): void {
    const bytes = bytesOf(buffers)
    if (bytes > inlineWriteBytesMax) {
      this.#writeRest(position, buffers, 0, bytes, error => (error === undefined ? this.sync(done) : done(error)))
      return
    }
    try {
      this.#writeInline(position, buffers, bytes)
    } catch (error) {
      setImmediate(done, error as Error)
      return
    }
    this.sync(done)
  }

  write(position: number, buffers: readonly Uint8Array[], done: DiskCallback): void {
    const bytes = bytesOf(buffers)
    if (bytes === 0) setImmediate(done, undefined)
    else this.#writeRest(position, buffers, 0, bytes, done)
  }

  sync(done: DiskCallback): void {
    fs.fdatasync(this.#open, error => done(error ?? undefined))
  }

  close(): void {
    if (this.#fd === undefined) return
    fs.closeSync(this.#fd)
    this.#fd = undefined
  }

  #writeInline(position: number, buffers: readonly Uint8Array[], total: number): void {
    for (let written = 0; written < total;) {
      const rest = written === 0 ? buffers : dropBytes(buffers, written)
      const [only] = rest
      const count =
        rest.length === 1 && only !== undefined
          ? fs.writeSync(this.#open, only, 0, only.length, position + written)
          : fs.writevSync(this.#open, rest, position + written)
      if (count === 0) throw new Error(`${this.path}: nothing could be written at byte ${position + written}`)
      written += count
    }
  }

  /** writev may write less than asked: go on with what is left. */
  #writeRest(position: number, buffers: readonly Uint8Array[], written: number, total: number, done: DiskCallback): void {
    fs.writev(this.#open, dropBytes(buffers, written), position + written, (error, count) => {
      if (error !== null) return done(error)
      if (written + count >= total) return done(undefined)
      if (count === 0) return done(new Error(`${this.path}: nothing could be written at byte ${position + written}`))
      this.#writeRest(position, buffers, written + count, total, done)
    })
  }
}

function bytesOf(buffers: readonly Uint8Array[]): number {
  let bytes = 0
  for (const buffer of buffers) bytes += buffer.length
  return bytes
}

function dropBytes(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = count
  for (const buffer of buffers) {
    if (skip >= buffer.length) skip -= buffer.length
    else {
      rest.push(skip === 0 ? buffer : buffer.subarray(skip))
      skip = 0
    }
  }
  return rest
}

function syncDirectoryLater(directory: string, done: DiskCallback): void {
  fs.open(directory, 'r', (openError, fd) => {
    if (openError !== null) return done(openError)
    fs.fsync(fd, syncError => fs.close(fd, closeError => done(syncError ?? closeError ?? undefined)))
  })
}

/** The machine's disk. */
export const realDisk: Disk = {
  list(directory) {
    try {
      return fs.readdirSync(directory).sort()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  },
  exists: filePath => fs.existsSync(filePath),
  makeDirectory(directory) {
    if (fs.existsSync(directory)) return
    const parent = path.dirname(directory)
    this.makeDirectory(parent)
    fs.mkdirSync(directory, { recursive: true })
    this.syncDirectory(parent)
  },
  syncDirectory(directory) {
    const fd = fs.openSync(directory, 'r')
    try {
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  },
  open(filePath, { create }) {
    const flags = fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0)
    return new RealFile(filePath, fs.openSync(filePath, flags, 0o640))
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: filePath => fs.unlinkSync(filePath),
  removeLater(filePath, done) {
    fs.unlink(filePath, error => (error === null ? syncDirectoryLater(path.dirname(filePath), done) : done(error)))
  },
  space(anyPath) {
    const { blocks, bavail, bsize } = fs.statfsSync(anyPath)
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
  },
}
