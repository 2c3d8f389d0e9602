/**
 * How often the garbage collector goes over everything. V8 lets a heap of 15 MB grow by a tenth between two full collections, and what sockets and the
 * log's slabs hold outside the heap counts as growth: a loaded node would do several full collections a second, each with a pause of 5–25 ms.
 * Called once, when a node's process begins; the limit is worked out anew after each collection, so it works on a running VM.
 */
import { setFlagsFromString } from 'node:v8'

/** Growth between two full collections, as a percentage of what is alive. */
const growthPercent = 200

export function collectLessOften(): void {
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
}
