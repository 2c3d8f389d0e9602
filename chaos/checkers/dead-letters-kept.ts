/**
 * What a consumer group has given up stands in its dead letters (A33): as many as its places count as dead, and no fewer at any entry. A message that
 * is taken from its group and put nowhere is lost to everybody, and no count of the group's own states would miss it.
 */
import { Violation } from '../violation.ts'
import type { Checker } from './checker.ts'

/** Of the state machine: what is counted here. */
export interface DeadCounts {
  topic(name: string): { readonly appended: number } | undefined
  place(consumerGroup: string, topic: string): { readonly dead: number } | undefined
}

const everyEntries = 8

export function deadLettersKept(
  machine: DeadCounts,
  consumerGroups: readonly { readonly name: string; readonly topics: readonly string[] }[],
): Checker {
  const count = (where: string): void => {
    for (const { name, topics } of consumerGroups) {
      const dead = topics.reduce((sum, topic) => sum + (machine.place(name, topic)?.dead ?? 0), 0)
      const kept = machine.topic(`%DLQ%${name}`)?.appended ?? 0
      if (dead !== kept)
        throw new Violation('A33', `${where}: group ${name} has given up ${dead} messages, and its dead letters are ${kept}`)
    }
  }
  return {
    name: 'dead letters kept',
    committed({ index }) {
      if (index % everyEntries === 0) count(`entry ${index}`)
    },
    atEnd() {
      count('at the end')
    },
  }
}
