/** The methods of apache.rocketmq.v2.MessagingService: one line each. A new RPC is a handler file and its line here. */
import type { DuplexHandler, ServerStreamHandler, UnaryHandler } from '../handler.ts'
import { ackMessage } from './ack-message.ts'
import { changeInvisibleDuration } from './change-invisible-duration.ts'
import { forwardMessageToDeadLetterQueue } from './forward-message-to-dead-letter-queue.ts'
import { heartbeat } from './heartbeat.ts'
import { notifyClientTermination } from './notify-client-termination.ts'
import { queryAssignment } from './query-assignment.ts'
import { queryRoute } from './query-route.ts'
import { receiveMessage } from './receive-message.ts'
import { sendMessage } from './send-message.ts'
import { telemetry } from './telemetry.ts'

export type Method =
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'serverStream'; readonly handle: ServerStreamHandler }
  | { readonly kind: 'duplex'; readonly handle: DuplexHandler }
  /** Answered with gRPC UNIMPLEMENTED at once, so that a client fails visibly. */
  | { readonly kind: 'unimplemented' }

export const messagingServiceName = 'apache.rocketmq.v2.MessagingService'

export const messagingMethods: Readonly<Record<string, Method>> = {
  QueryRoute: { kind: 'unary', handle: queryRoute },
  Heartbeat: { kind: 'unary', handle: heartbeat },
  SendMessage: { kind: 'unary', handle: sendMessage },
  QueryAssignment: { kind: 'unary', handle: queryAssignment },
  ReceiveMessage: { kind: 'serverStream', handle: receiveMessage },
  AckMessage: { kind: 'unary', handle: ackMessage },
  ForwardMessageToDeadLetterQueue: { kind: 'unary', handle: forwardMessageToDeadLetterQueue },
  PullMessage: { kind: 'unimplemented' },
  UpdateOffset: { kind: 'unimplemented' },
  GetOffset: { kind: 'unimplemented' },
  QueryOffset: { kind: 'unimplemented' },
  EndTransaction: { kind: 'unimplemented' },
  Telemetry: { kind: 'duplex', handle: telemetry },
  NotifyClientTermination: { kind: 'unary', handle: notifyClientTermination },
  ChangeInvisibleDuration: { kind: 'unary', handle: changeInvisibleDuration },
  RecallMessage: { kind: 'unimplemented' },
  SyncLiteSubscription: { kind: 'unimplemented' },
}
