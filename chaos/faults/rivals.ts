/**
 * Two rival suffixes (Raft's figure 8, and what it does to disks). One leader after another is cut off as it wins, so that two nodes hold entries of
 * different terms at the same places, and nobody else does. Then the one with the *older* suffix is let back first and wins again; the other must
 * throw its younger entries away for older ones, and loses power while it does.
 *
 *   first    … | t3 t3 t3            cut off, let back, elected again in t7
 *   second   … | t5 t5 t5 t5         cut off until then: rewritten with t3 t3 t3 t7, power cut
 *   third    …
 */
import { spread } from '../chance.ts'
import type { Glance } from '../checkers/checker.ts'
import type { Fault, FaultPowers, Target } from './fault.ts'
import { isolate } from './links.ts'
import { waitMs } from './times.ts'

export const rivals: Fault = {
  about: 'two nodes with suffixes of different terms; the older one wins',
  lastsMs: waitMs,
  strike: powers => new Rivals(powers).begin(),
}

class Rivals {
  readonly #powers: FaultPowers
  readonly #mends = new Map<Target, () => void>()
  #old: Target | undefined
  #first: Target | undefined
  #second: Target | undefined
  #isRewriting = false
  #isOver = false

  constructor(powers: FaultPowers) {
    this.#powers = powers
  }

  begin(): (() => void) | undefined {
    this.#old = this.#powers.leader()
    if (this.#old === undefined) return undefined
    this.#cutOff(this.#old)
    const unwatch = this.#powers.watch((target, now, before) => this.#onChange(target, now, before))
    return () => {
      unwatch()
      this.#isOver = true
      for (const target of [...this.#mends.keys()]) this.#letBack(target)
    }
  }

  #onChange(target: Target, now: Glance, before: Glance): void {
    const { random, syncMs } = this.#powers
    const after = (delayMs: number, run: () => void): void => this.#powers.after(delayMs, run)
    if (this.#isRewriting) {
      if (target !== this.#second || now.rewroteFrom === 0 || this.#isOver) return
      this.#isOver = true
      // The durable mark, the cut and the new entries take a sync each.
      after(random.next() * 4 * syncMs, () => {
        if (!target.isUp) return
        target.crash('power')
        after(spread(random, 2, 200), () => target.start())
      })
      return
    }
    if (now.role !== 'leader' || before.role === 'leader') return
    if (this.#first === undefined) {
      this.#first = target
      this.#cutOff(target)
      if (this.#old !== undefined) this.#letBack(this.#old)
    } else if (this.#second === undefined) {
      if (target === this.#first) return
      const first = this.#first
      this.#second = target
      this.#cutOff(target)
      after(200 + random.next() * 800, () => this.#letBack(first))
    } else if (target !== this.#second) {
      this.#isRewriting = true
      const second = this.#second
      after(random.next() * 300, () => this.#letBack(second))
    }
  }

  #cutOff(target: Target): void {
    if (this.#mends.has(target)) return
    const mend = isolate(this.#powers, target)
    if (mend !== undefined) this.#mends.set(target, mend)
  }

  #letBack(target: Target): void {
    this.#mends.get(target)?.()
    this.#mends.delete(target)
  }
}
