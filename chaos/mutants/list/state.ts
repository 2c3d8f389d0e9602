/** Mutants of the replicated state machine. */
import type { Mutant } from '../mutant.ts'

export const stateMutants: readonly Mutant[] = [
  {
    id: 'M28',
    what: 'a proposal that was forwarded twice, because the leader changed, is applied twice',
    file: 'src/state/machine.ts',
    find: 'if (isCopy(this.#state, envelope)) return undefined',
    replace: 'void isCopy',
    expected: ['A8', 'rule6'],
  },
  {
    id: 'M53',
    what: 'messages of a message group go to queues in turn',
    file: 'src/state/topics.ts',
    find: `  if (topic.type === 'fifo') id = hashModulo(messageGroup, topic.queueCount)`,
    replace: `  if (topic.type === 'fifo') id = (hashModulo(messageGroup, topic.queueCount) + topic.appended) % topic.queueCount`,
    expected: ['A23'],
  },
  {
    id: 'M46',
    what: 'a change of leader forgets which messages are invisible',
    file: 'src/state/machine.ts',
    find: '    this.#advance(entry)\n  }\n\n  #run(',
    replace: `    this.#advance(entry)
    const { rows } = this.#state.inFlight
    if (entry.kind === entryKinds.noop) for (const row of rows.handles()) if (isOutstanding(rows, row)) makeVisible(this.#state, row, false)
  }

  #run(`,
    also: [
      {
        file: 'src/state/machine.ts',
        find: "import { newInFlight } from './in-flight.ts'",
        replace: "import { isOutstanding, newInFlight } from './in-flight.ts'\nimport { makeVisible } from './deliveries.ts'",
      },
    ],
    expected: ['A26'],
    profile: 'deliveries',
  },
  {
    id: 'M47',
    what: 'invisible times run by the clock of the machine that applies',
    file: 'src/node/broker-node.ts',
    find: 'this.#state.machine.apply(entry)',
    replace: 'this.#state.machine.apply({ ...entry, wallMs: this.#options.seams.clock.wallMs() })',
    expected: ['A49'],
  },
]
