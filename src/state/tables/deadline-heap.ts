/**
 * What is due next: a binary heap of (deadline, handle) in typed arrays, in (deadline, key) order (rule 8), with removal by handle.
 * The owner keeps each handle's place in the heap; 0 = not in it, so places count from 1.
 */
import { assert } from '../../platform/assert.ts'

export interface HeapOwner {
  /** Order of two handles with equal deadlines, by their keys: total, and the same on every replica. */
  isBefore(left: number, right: number): boolean
  placeOf(handle: number): number
  setPlace(handle: number, place: number): void
}

export class DeadlineHeap {
  readonly #owner: HeapOwner
  #deadlines = new Float64Array(1024)
  #handles = new Int32Array(1024)
  #count = 0

  constructor(owner: HeapOwner) {
    this.#owner = owner
  }

  get count(): number {
    return this.#count
  }

  /** The earliest deadline, or Infinity. */
  get firstDeadline(): number {
    return this.#count === 0 ? Infinity : (this.#deadlines[1] as number)
  }

  /** The handle with the earliest deadline; 0 = the heap is empty. */
  get first(): number {
    return this.#count === 0 ? 0 : (this.#handles[1] as number)
  }

  has(handle: number): boolean {
    return this.#owner.placeOf(handle) !== 0
  }

  /** Adds the handle, or moves it to its new deadline. */
  put(handle: number, deadline: number): void {
    let place = this.#owner.placeOf(handle)
    if (place === 0) {
      place = ++this.#count
      if (place === this.#handles.length) this.#grow()
    }
    this.#lift(place, handle, deadline)
    this.#sink(this.#owner.placeOf(handle), handle, deadline)
  }

  /** Takes the handle out, if it is in. */
  remove(handle: number): void {
    const place = this.#owner.placeOf(handle)
    if (place === 0) return
    assert(this.#handles[place] === handle, 'heap-place', handle, place)
    this.#owner.setPlace(handle, 0)
    const last = this.#handles[this.#count] as number
    const lastDeadline = this.#deadlines[this.#count] as number
    this.#count--
    if (last === handle) return
    this.#lift(place, last, lastDeadline)
    this.#sink(this.#owner.placeOf(last), last, lastDeadline)
  }

  /** Moves (handle, deadline) up from a place that is free or its own. */
  #lift(from: number, handle: number, deadline: number): void {
    let place = from
    while (place > 1) {
      const parent = place >>> 1
      if (!this.#isBefore(deadline, handle, parent)) break
      this.#putAt(place, this.#handles[parent] as number, this.#deadlines[parent] as number)
      place = parent
    }
    this.#putAt(place, handle, deadline)
  }

  #sink(from: number, handle: number, deadline: number): void {
    let place = from
    for (;;) {
      let child = place * 2
      if (child > this.#count) break
      if (child < this.#count && this.#isBefore(this.#deadlines[child + 1] as number, this.#handles[child + 1] as number, child)) child++
      if (this.#isBefore(deadline, handle, child)) break
      this.#putAt(place, this.#handles[child] as number, this.#deadlines[child] as number)
      place = child
    }
    if (place !== from) this.#putAt(place, handle, deadline)
  }

  #isBefore(deadline: number, handle: number, place: number): boolean {
    const other = this.#deadlines[place] as number
    if (deadline !== other) return deadline < other
    return this.#owner.isBefore(handle, this.#handles[place] as number)
  }

  #putAt(place: number, handle: number, deadline: number): void {
    this.#handles[place] = handle
    this.#deadlines[place] = deadline
    this.#owner.setPlace(handle, place)
  }

  #grow(): void {
    const deadlines = new Float64Array(this.#deadlines.length * 2)
    deadlines.set(this.#deadlines)
    this.#deadlines = deadlines
    const handles = new Int32Array(this.#handles.length * 2)
    handles.set(this.#handles)
    this.#handles = handles
  }
}
