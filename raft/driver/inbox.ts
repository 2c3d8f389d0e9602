/**
 * What came from the network and was not looked at yet. Votes, heartbeats and their replies come first, whatever waits on the data links; news of the
 * links stand in line with the data, so that a frame is never taken for one of a later connection.
 */
import type { EntryId, LogIndex, NodeId } from '../core/ids.ts'
import type { SlotChannel } from './peer-slots.ts'

export type InboxItem =
  | {
      readonly kind: 'frame'
      readonly peer: NodeId
      readonly channel: SlotChannel
      readonly type: number
      readonly header: Uint8Array
      readonly payload: Uint8Array
    }
  | { readonly kind: 'up'; readonly peer: NodeId; readonly incarnation: number }
  | { readonly kind: 'down'; readonly peer: NodeId }
  | { readonly kind: 'died'; readonly peer: NodeId }
  | { readonly kind: 'removed'; readonly index: LogIndex }
  | { readonly kind: 'snapshotHeld'; readonly last: EntryId }

export class Inbox {
  #control: InboxItem[] = []
  #data: InboxItem[] = []
  /** Where the reader of `#data` is. */
  #next = 0
  #dataBytes = 0

  addControl(item: InboxItem): void {
    this.#control.push(item)
  }

  addData(item: InboxItem): void {
    this.#data.push(item)
    this.#dataBytes += bytesOf(item)
  }

  /** Payload bytes that wait. */
  get dataBytes(): number {
    return this.#dataBytes
  }

  /** All that is urgent; the caller takes it as a whole. */
  takeControl(): readonly InboxItem[] {
    const items = this.#control
    if (items.length > 0) this.#control = []
    return items
  }

  takeData(): InboxItem | undefined {
    const item = this.#data[this.#next]
    if (item === undefined) return undefined
    this.#next++
    this.#dataBytes -= bytesOf(item)
    if (this.#next === this.#data.length) {
      this.#data = []
      this.#next = 0
    }
    return item
  }

  get isEmpty(): boolean {
    return this.#control.length === 0 && this.#data.length === 0
  }

  /** Forgets the frames; news of the links stay. */
  dropFrames(): void {
    this.#control = this.#control.filter(item => item.kind !== 'frame')
    this.#data = this.#data.slice(this.#next).filter(item => item.kind !== 'frame')
    this.#next = 0
    this.#dataBytes = 0
  }
}

function bytesOf(item: InboxItem): number {
  return item.kind === 'frame' ? item.payload.length : 0
}
