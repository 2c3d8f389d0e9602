/** What a command may hold at most. The leader refuses the rest before it appends; gateways keep below. Part of the format: they may be raised by a feature level, never lowered. */
export const bounds = {
  /** Topic names; consumer groups so that `%DLQ%` and the group's name are a topic name. */
  nameBytesMax: 255,
  groupBytesMax: 250,
  messagesMax: 1024,
  requestsMax: 256,
  popMessagesMax: 32,
  tagsMax: 1024,
  itemsMax: 4096,
  topicsMax: 1024,
  changesMax: 4096,
  queuesMax: 1024,
  /** 12 h (protocol reference §11.1). */
  invisibleMsMax: 43_200_000,
  attemptsMax: 10_000,
  retryStepsMax: 64,
  retryMsMax: 86_400_000,
  multiplierMax: 1_000,
  trimsMax: 1024,
  carriedMax: 1024,
} as const

/** First bytes of a data entry's body. */
export const envelopeBytes = 24
/** The only format so far: second byte of the envelope. */
export const commandFormat = 1
/** Fixed part in front of each message of a send. */
export const messageHeaderBytes = 60

/** Kinds on disk: first byte of the envelope. */
export const CommandKind = {
  send: 1,
  pop: 2,
  settle: 3,
  createTopic: 4,
  deleteTopic: 5,
  ensureGroup: 6,
  clientsChanged: 7,
  nodeChanged: 8,
  tick: 9,
  barrier: 10,
  digestCheck: 11,
  setRetention: 16,
  trim: 17,
  trimLog: 18,
  carry: 19,
  raiseLevel: 12,
} as const
