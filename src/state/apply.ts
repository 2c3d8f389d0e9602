/** One command's meaning: the switch, and the commands that are too small for a file. Time and sessions are machine.ts's business. */
import { assertNever } from '../platform/assert.ts'
import { changeClients } from './clients.ts'
import type { Command, EnsureGroup, Envelope } from './command.ts'
import { ensurePlace } from './cursors.ts'
import { changeSettings } from './group-settings.ts'
import { ensureGroup } from './groups.ts'
import { changeNode } from './nodes.ts'
import { applyPop } from './pop.ts'
import type { CommandResult } from './result.ts'
import { applyCarry, applyTrim, applyTrimLog, setRetention } from './retention.ts'
import { applySend } from './send.ts'
import { applySettle } from './settle.ts'
import type { State } from './state.ts'
import { createTopic, deleteTopic } from './topics.ts'

const done: CommandResult = { kind: 'done' }

/** Every kind but digestCheck and raiseLevel, which are about the machine and not about a noun. */
export function applyCommand(state: State, envelope: Envelope, command: Command): CommandResult {
  switch (command.kind) {
    case 'send':
      return applySend(state, command)
    case 'pop':
      return applyPop(state, envelope.node, command)
    case 'settle':
      return applySettle(state, envelope.node, command)
    case 'createTopic':
      return createTopic(state, command.topic, command.type, command.queueCount)
    case 'deleteTopic':
      return deleteTopic(state, command.topic)
    case 'ensureGroup':
      return applyEnsureGroup(state, command)
    case 'clientsChanged':
      changeClients(state, envelope.node, command)
      return done
    case 'nodeChanged':
      changeNode(state, command.node, command.isUp)
      return done
    case 'setRetention':
      return setRetention(state, command)
    case 'trim':
      return applyTrim(state, command)
    case 'trimLog':
      return applyTrimLog(state, command)
    case 'carry':
      return applyCarry(state, command)
    case 'tick':
    case 'barrier':
    case 'digestCheck':
    case 'raiseLevel':
      return done
    default:
      return assertNever(command)
  }
}

function applyEnsureGroup(state: State, command: EnsureGroup): CommandResult {
  const existed = state.groups.byName.has(command.consumerGroup)
  const group = ensureGroup(state, command.consumerGroup, command.settings, command.start)
  if (group === undefined) return { kind: 'refused', reason: 'tooManyGroups' }
  if (existed && command.replaceSettings) changeSettings(state, group, command.settings)
  // A topic that does not exist yet gives no place: the group's first pop of it will.
  for (const name of command.topics) {
    const topic = state.topics.byName.get(name)
    if (topic !== undefined) ensurePlace(state, group, topic)
  }
  return { kind: 'groupEnsured', consumerGroupId: group.id }
}
