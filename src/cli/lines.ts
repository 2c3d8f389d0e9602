/**
 * Lines of a file as messages, and back, so that the bytes come back as they were:
 *
 *   a line               body                 property raftmq-line
 *   -------------------- -------------------- --------------------------------------------
 *   text, then \n        text                 none
 *   nothing, then \n     one \n               empty: a message can't have an empty body
 *   text, no \n (last)   text                 open: no \n is written behind it
 *
 * A \r before the \n belongs to the text. Bytes are never decoded: what is not UTF-8 passes unchanged.
 */

/** User property that says how a line ended; absent for ordinary lines and for messages that were not lines. */
export const linePropertyKey = 'raftmq-line'

export interface Line {
  /** A view of the chunk it came in. */
  readonly body: Uint8Array
  readonly ending: 'normal' | 'empty' | 'open'
}

const newline = 0x0a
const newlineBytes = Uint8Array.of(newline)

/** Cuts chunks into lines; keeps what belongs to a line that is not yet at its end. */
export class LineCutter {
  readonly #lineBytesMax: number
  #kept: Uint8Array[] = []
  #keptBytes = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The lines that end in this chunk. Throws a RangeError when a line is longer than the largest message. */
  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      lines.push(this.#line(chunk.subarray(start, end), 'normal'))
      start = end + 1
    }
    if (start < chunk.length) {
      this.#kept.push(chunk.subarray(start))
      this.#keptBytes += chunk.length - start
      this.#check(this.#keptBytes)
    }
    return lines
  }

  /** The last line, when the input did not end with a newline. */
  end(): Line[] {
    return this.#keptBytes === 0 ? [] : [this.#line(new Uint8Array(0), 'open')]
  }

  #line(rest: Uint8Array, ending: 'normal' | 'open'): Line {
    this.#check(this.#keptBytes + rest.length)
    const body = this.#keptBytes === 0 ? rest : Buffer.concat([...this.#kept, rest])
    this.#kept = []
    this.#keptBytes = 0
    return body.length === 0 ? { body: newlineBytes, ending: 'empty' } : { body, ending }
  }

  #check(bytes: number): void {
    if (bytes > this.#lineBytesMax) throw new RangeError(`a line is longer than a message may be (${this.#lineBytesMax} bytes)`)
  }
}

/** Puts messages together into a file again. */
export class LineJoiner {
  #isOpen = false

  /** The bytes that a message stands for. A line that was its file's last, without a newline, gets one when another comes behind it. */
  bytes(body: Uint8Array, ending: string | undefined): readonly Uint8Array[] {
    const before = this.#isOpen ? [newlineBytes] : []
    this.#isOpen = ending === 'open'
    if (ending === 'empty') return [...before, newlineBytes]
    return ending === 'open' ? [...before, body] : [...before, body, newlineBytes]
  }
}
