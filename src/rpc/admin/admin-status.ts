/** How an administrative call went: refusals in the words of raftmq.v1. */
import { raftmq } from '#proto/raftmq-v1.js'
import type { Refusal, RefusalCode } from '../../broker/refusal.ts'

const Code = raftmq.v1.AdminStatus.Code
type AdminStatus = raftmq.v1.AdminStatus.$Properties

export const okAdminStatus: AdminStatus = { code: Code.OK, message: '' }

export function adminStatusOf(refusal: Refusal): AdminStatus {
  return { code: codeOf(refusal.code), message: refusal.hint }
}

/** What is not named here is the request's own fault. */
function codeOf(code: RefusalCode): raftmq.v1.AdminStatus.Code {
  switch (code) {
    case 'notFound':
    case 'topicNotFound':
    case 'consumerGroupNotFound':
    case 'messageNotFound':
      return Code.NOT_FOUND
    case 'preconditionFailed':
    case 'messagePropertyConflictWithType':
      return Code.CONFLICT
    case 'tooManyRequests':
      return Code.EXHAUSTED
    case 'haNotAvailable':
      return Code.UNAVAILABLE
    case 'proxyTimeout':
      return Code.UNKNOWN_OUTCOME
    case 'internalServerError':
    case 'notImplemented':
    case 'unsupported':
      return Code.INTERNAL
    default:
      return Code.INVALID
  }
}
