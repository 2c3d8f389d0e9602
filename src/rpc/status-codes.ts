/** Which refusal gives which v2 status code: this table and no other. What the codes make clients do: protocol reference §2.2. */
import type { RefusalCode } from '../broker/refusal.ts'

/** Numbers of apache.rocketmq.v2.Code; status-codes.test.ts holds them against the generated enum. */
export const StatusCode = {
  badRequest: 40_000,
  illegalTopic: 40_002,
  illegalConsumerGroup: 40_003,
  illegalMessageTag: 40_004,
  illegalMessageKey: 40_005,
  illegalMessageGroup: 40_006,
  illegalMessagePropertyKey: 40_007,
  illegalMessageId: 40_009,
  illegalFilterExpression: 40_010,
  illegalInvisibleTime: 40_011,
  illegalDeliveryTime: 40_012,
  invalidReceiptHandle: 40_013,
  messagePropertyConflictWithType: 40_014,
  unrecognizedClientType: 40_015,
  messageCorrupted: 40_016,
  clientIdRequired: 40_017,
  illegalPollingTime: 40_018,
  illegalOffset: 40_019,
  forbidden: 40_300,
  notFound: 40_400,
  messageNotFound: 40_401,
  topicNotFound: 40_402,
  consumerGroupNotFound: 40_403,
  payloadTooLarge: 41_300,
  messageBodyTooLarge: 41_301,
  messageBodyEmpty: 41_302,
  preconditionFailed: 42_800,
  tooManyRequests: 42_900,
  messagePropertiesTooLarge: 43_101,
  internalServerError: 50_001,
  haNotAvailable: 50_002,
  notImplemented: 50_100,
  proxyTimeout: 50_400,
  unsupported: 50_500,
} as const satisfies Record<RefusalCode, number>

export const okCode = 20_000
/** Of a reply whose entries differ. */
export const multipleResultsCode = 30_000

export function statusCodeOf(code: RefusalCode): number {
  return StatusCode[code]
}

/** Come again, perhaps to another node: the cause lies with us and passes. */
export function isTransient(code: RefusalCode): boolean {
  return code === 'haNotAvailable' || code === 'proxyTimeout' || code === 'tooManyRequests'
}
