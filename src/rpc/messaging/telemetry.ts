/**
 * Telemetry: the stream that a client keeps open as long as it lives. Each Settings message on it is answered at once with the merged ones
 * (settings.ts); other commands are results of questions that nobody asked yet, and are ignored. Nothing else depends on this stream: a node
 * serves clients whose Settings it has never seen (protocol reference §4.5).
 *
 * A refusal ends the stream with INVALID_ARGUMENT, except for Node, which would reconnect for ever: a command with only a bad status makes
 * its start fail cleanly. While there is no leader the answer is made from defaults: clients take a missing one for the end of the world.
 */
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { ConsumerSettingsRequest, ProducerSettingsRequest, SettingsAnswer, SettingsRequest } from '../../broker/requests.ts'
import { defaultSettings } from '../../state/groups.ts'
import type { Caller, DuplexHandler, DuplexStream, RpcContext } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { isTransient } from '../status-codes.ts'
import { decodeRequest } from './decode.ts'
import { clientTypeOf } from './heartbeat.ts'
import { checkGroup, checkTopic } from './names.ts'
import { refusalReply } from './replies.ts'
import { consumerSettings, isNodeAgent, producerSettings } from './settings.ts'
import { checkClientId, parseFilter } from './validate.ts'

const v2 = apache.rocketmq.v2
type Settings = apache.rocketmq.v2.Settings.$Properties
type Command = apache.rocketmq.v2.TelemetryCommand.$Properties

/** Topics of one client that are looked at. */
const topicsMax = 1_024

export const telemetry: DuplexHandler = (context, caller, stream) => {
  /** Settings being answered; the stream ends when the caller has half-closed and none is left. */
  let pending = 0
  let isHalfClosed = false
  let isOver = false
  const noId = checkClientId(caller.clientId)

  return { onItem, onHalfClose, onGone: () => void (isOver = true) }

  function onItem(bytes: Uint8Array): void {
    if (isOver) return
    const decoded = decodeRequest(v2.TelemetryCommand, 'TelemetryCommand', bytes)
    if (decoded.kind === 'refused') return refuseStream(decoded, caller.isNodeClient)
    const { settings } = decoded.message
    // A result of a question (stack trace, verification): late or unknown ones do no harm.
    if (!settings) return
    const isNodeClient = caller.isNodeClient || isNodeAgent(settings)
    const request = noId ?? settingsRequest(context, caller, settings)
    if (request.kind === 'refused') return refuseStream(request, isNodeClient)
    pending += 1
    context.broker.settings(request, answer => {
      pending -= 1
      if (isOver) return
      if (answer.kind === 'refused' && !isTransient(answer.code)) return refuseStream(answer, isNodeClient)
      const group = answer.kind === 'refused' ? fallback(request) : answer.group
      const merged = request.kind === 'producer' ? producerSettings(settings) : consumerSettings(settings, group, isNodeClient)
      write(stream, { status: { code: v2.Code.OK, message: 'OK' }, settings: merged })
      endIfDone()
    })
  }

  function onHalfClose(): void {
    isHalfClosed = true
    endIfDone()
  }

  function endIfDone(): void {
    if (!isHalfClosed || pending > 0 || isOver) return
    isOver = true
    stream.end()
  }

  function refuseStream(refusal: Refusal, isNodeClient: boolean): void {
    if (isNodeClient) {
      stream.write(refusalReply(refusal))
      return
    }
    isOver = true
    stream.fail('invalidArgument', refusal.hint)
  }
}

function write(stream: DuplexStream, command: Command): void {
  const bytes = v2.TelemetryCommand.encode(command).finish()
  stream.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
}

function fallback(request: SettingsRequest): SettingsAnswer['group'] {
  return request.kind === 'consumer' && request.fifo === true ? { ...defaultSettings, isFifo: true } : defaultSettings
}

function settingsRequest(context: RpcContext, caller: Caller, settings: Settings): SettingsRequest | Refusal {
  const asked = { deadlineMs: context.clock.nowMs() + patienceMs(caller.leftMs), clientId: caller.clientId }
  if (settings.publishing) return producerRequest(asked, settings.publishing)
  if (settings.subscription) return consumerRequest(asked, settings, settings.subscription)
  return refuse('badRequest', 'the settings are neither of a producer nor of a consumer')
}

type Asked = Pick<SettingsRequest, 'deadlineMs' | 'clientId'>

function producerRequest(asked: Asked, publishing: apache.rocketmq.v2.Publishing.$Properties): ProducerSettingsRequest | Refusal {
  const topics = (publishing.topics ?? []).slice(0, topicsMax).map(topic => topic.name ?? '')
  for (const topic of topics) {
    const bad = checkTopic(topic)
    if (bad !== undefined) return bad
  }
  return { ...asked, kind: 'producer', topics }
}

function consumerRequest(
  asked: Asked,
  settings: Settings,
  subscription: apache.rocketmq.v2.Subscription.$Properties,
): ConsumerSettingsRequest | Refusal {
  const clientType = clientTypeOf(settings.clientType ?? v2.ClientType.CLIENT_TYPE_UNSPECIFIED)
  if (clientType === 'unknown' || clientType === 'producer')
    return refuse('unrecognizedClientType', 'the settings are not of a consumer that is served here')
  const consumerGroup = subscription.group?.name ?? ''
  const badGroup = checkGroup(consumerGroup)
  if (badGroup !== undefined) return badGroup
  const entries = (subscription.subscriptions ?? []).slice(0, topicsMax)
  for (const entry of entries) {
    const bad = checkTopic(entry.topic?.name ?? '') ?? filterRefusal(entry.expression)
    if (bad !== undefined) return bad
  }
  const topics = entries.map(entry => entry.topic?.name ?? '')
  return {
    ...asked,
    kind: 'consumer',
    clientType: clientType ?? 'pushConsumer',
    consumerGroup,
    topics,
    fifo: subscription.fifo ?? undefined,
  }
}

function filterRefusal(filter: apache.rocketmq.v2.FilterExpression.$Properties | null | undefined): Refusal | undefined {
  const parsed = parseFilter(filter?.type ?? 0, filter?.expression ?? '')
  return parsed.kind === 'refused' ? parsed : undefined
}
