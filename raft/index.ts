/**
 * The only door of raft/: everything that leaves it is public and documented.
 */
export * from './core/ids.ts'
export * from './core/entry.ts'
export type { RaftConfig, RecoveredState } from './core/config.ts'
export type { HardState } from './core/output.ts'
export type { BlockCheck, EntryBody, HardStateStorage, LogStorage, RecordBlock, StoredEntry } from './driver/log-storage.ts'
