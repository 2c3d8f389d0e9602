/**
 * Rows that are plain objects: for what stays small (topics, queues, groups, cursors, clients, nodes). Each object carries a mark, by which
 * this table knows whether it must be hashed or checkpointed again. Whoever changes an object calls `changed`.
 */
import { assert } from '../../platform/assert.ts'
import { hashWords } from '../digest.ts'
import { type CheckpointSink, type DigestSumLike, type StateTable, WordWriter, wordsText } from './words.ts'

export interface CellMark {
  isLive: boolean
  isUnhashed: boolean
  isUnsaved: boolean
  isStored: boolean
  isSummed: boolean
  readonly hash: Int32Array
}

export interface Cell {
  readonly mark: CellMark
}

export function newMark(): CellMark {
  return { isLive: false, isUnhashed: false, isUnsaved: false, isStored: false, isSummed: false, hash: new Int32Array(4) }
}

export interface CellCodec<T> {
  readonly tag: number
  writeKey(cell: T, out: WordWriter): void
  writeValue(cell: T, out: WordWriter): void
  /** Reads a row and adds its object, with `addStored`. A sentence when it is none. */
  load(key: Uint8Array, value: Uint8Array): string | undefined
}

export class CellTable<T extends Cell> implements StateTable {
  readonly #codec: CellCodec<T>
  readonly #cells = new Set<T>()
  #unhashed: T[] = []
  #unsaved: T[] = []
  #goneKeys: { readonly text: string; readonly words: Int32Array }[] = []
  #goneHashes: Int32Array[] = []
  readonly #writer = new WordWriter()

  constructor(codec: CellCodec<T>) {
    this.#codec = codec
  }

  get tag(): number {
    return this.#codec.tag
  }

  get count(): number {
    return this.#cells.size
  }

  get changedCount(): number {
    return this.#unsaved.length + this.#goneKeys.length
  }

  add(cell: T): void {
    assert(!cell.mark.isLive, 'cell-added-once', this.tag)
    cell.mark.isLive = true
    this.#cells.add(cell)
    this.changed(cell)
  }

  /** Adds what a checkpoint had. */
  addStored(cell: T): void {
    cell.mark.isLive = true
    cell.mark.isStored = true
    cell.mark.isUnhashed = true
    this.#cells.add(cell)
    this.#unhashed.push(cell)
  }

  remove(cell: T): void {
    const mark = cell.mark
    assert(mark.isLive, 'cell-live', this.tag)
    if (mark.isStored) {
      this.#codec.writeKey(cell, this.#writer.reset())
      const words = this.#writer.words.slice(0, this.#writer.count)
      this.#goneKeys.push({ text: wordsText(words, 0, words.length), words })
    }
    if (mark.isSummed) this.#goneHashes.push(mark.hash)
    mark.isLive = false
    this.#cells.delete(cell)
  }

  changed(cell: T): void {
    const mark = cell.mark
    if (!mark.isUnhashed) {
      mark.isUnhashed = true
      this.#unhashed.push(cell)
    }
    if (!mark.isUnsaved) {
      mark.isUnsaved = true
      this.#unsaved.push(cell)
    }
  }

  settle(sum: DigestSumLike): void {
    for (const hash of this.#goneHashes) sum.subtract(hash, 0)
    this.#goneHashes = []
    for (const cell of this.#unhashed) {
      const mark = cell.mark
      mark.isUnhashed = false
      if (!mark.isLive) continue
      if (mark.isSummed) sum.subtract(mark.hash, 0)
      this.#write(cell)
      hashWords(this.tag, this.#writer.words, 0, this.#writer.count, mark.hash, 0)
      sum.add(mark.hash, 0)
      mark.isSummed = true
    }
    this.#unhashed = []
  }

  collect(sink: CheckpointSink): void {
    // A key may have gone and come again, as another object: then the put is all.
    const isBack = new Set<string>()
    for (const cell of this.#unsaved) {
      cell.mark.isUnsaved = false
      if (!cell.mark.isLive) continue
      const keyWords = this.#write(cell)
      sink.put(this.tag, this.#writer.words, 0, keyWords, this.#writer.count - keyWords)
      cell.mark.isStored = true
      if (this.#goneKeys.length > 0) isBack.add(wordsText(this.#writer.words, 0, keyWords))
    }
    this.#unsaved = []
    for (const gone of this.#goneKeys) {
      if (isBack.has(gone.text)) continue
      isBack.add(gone.text)
      sink.delete(this.tag, gone.words, 0, gone.words.length)
    }
    this.#goneKeys = []
  }

  load(key: Uint8Array, value: Uint8Array): string | undefined {
    return this.#codec.load(key, value)
  }

  forEachRow(visit: (words: Int32Array, at: number, count: number) => void): void {
    for (const cell of this.#cells) {
      this.#write(cell)
      visit(this.#writer.words, 0, this.#writer.count)
    }
  }

  #write(cell: T): number {
    this.#codec.writeKey(cell, this.#writer.reset())
    const keyWords = this.#writer.count
    this.#codec.writeValue(cell, this.#writer)
    return keyWords
  }
}
