/**
 * The two lists of seeded bugs that we hold ourselves to, row by row: which mutant plants it here, which built thing it waits for, or why it can't be made.
 * R01–R40 are the first forty mutations of the Raft reference (its §3.3), M01–M72 the list of the harness reference (§6.1).
 */
export type Answer =
  | { readonly kind: 'planted'; readonly by: readonly string[] }
  /** The feature is not there yet. */
  | { readonly kind: 'waits'; readonly for: string }
  /** The world can't show it; something else does. */
  | { readonly kind: 'elsewhere'; readonly where: string }
  | { readonly kind: 'impossible'; readonly because: string }

const by = (...ids: readonly string[]): Answer => ({ kind: 'planted', by: ids })
const waits = (feature: string): Answer => ({ kind: 'waits', for: feature })
const elsewhere = (where: string): Answer => ({ kind: 'elsewhere', where })
const impossible = (because: string): Answer => ({ kind: 'impossible', because })

const membership = waits('mutants of membership, once it runs in the world')
const snapshots = waits('mutants of snapshots, once they are installed in the world')
const reads = waits('ReadIndex; until then every certain read is an entry of the log (src/broker/barrier.ts)')
const delays = waits('delayed messages')
const transactions = waits('transactional messages')
const rot = waits('faults of the disk that damage what was synced, or fail')
const retention = waits('retention in the world')

export const references: Readonly<Record<string, Answer>> = {
  R01: by('M02'),
  R02: by('R02'),
  R03: by('R03'),
  R04: by('R04'),
  R05: by('R05'),
  R06: by('R06'),
  R07: by('R07'),
  R08: by('R08'),
  R09: by('R09'),
  R10: by('R10'),
  R11: by('R11'),
  R12: by('M04'),
  R13: by('R13'),
  R14: by('R14'),
  R15: by('M06', 'R24'),
  R16: by('M08'),
  R17: impossible(
    'where a leader’s log could differ at or below our commit, leader completeness is broken already; an assertion stands guard',
  ),
  R18: elsewhere('raft/core/log.test.ts: the term of an entry that is not there equals nothing'),
  R19: snapshots,
  R20: by('M07'),
  R21: by('R21'),
  R22: by('R22'),
  R23: by('R23'),
  R24: by('R24'),
  R25: by('R25'),
  R26: by('R26'),
  R27: by('R27'),
  R28: membership,
  R29: membership,
  R30: membership,
  R31: snapshots,
  R32: snapshots,
  R33: membership,
  R34: membership,
  R35: membership,
  R36: reads,
  R37: reads,
  R38: by('R38', 'M33', 'X40', 'X54'),
  R39: rot,
  R40: rot,
  M01: by('M01'),
  M02: by('M02'),
  M03: by('M03'),
  M04: by('M04'),
  M05: by('M05'),
  M06: by('M06'),
  M07: by('M07'),
  M08: by('M08'),
  M09: by('M09'),
  M10: by('M10'),
  M11: by('M11'),
  M12: by('M12'),
  M13: by('M13'),
  M14: impossible('there are no leases for reads'),
  M15: impossible('there are no leases for reads'),
  M16: reads,
  M17: by('M17'),
  M18: by('M18'),
  M19: membership,
  M20: membership,
  M21: membership,
  M22: membership,
  M23: snapshots,
  M24: snapshots,
  M25: snapshots,
  M26: by('M26'),
  M27: by('M27'),
  M28: by('M28', 'X70', 'X71'),
  M29: by('M29'),
  M30: by('M30'),
  M31: rot,
  M32: rot,
  M33: by('M33'),
  M34: rot,
  M35: rot,
  M36: by('M36'),
  M37: by('M37'),
  M38: retention,
  M39: retention,
  M40: elsewhere(
    'src/storage: a segment or a hard state of another data directory is refused (unit tests); in the world every machine has its own disk',
  ),
  M41: by('M41'),
  M42: by('M42'),
  M43: by('M43'),
  M44: by('M44'),
  M45: by('M45'),
  M46: by('M46'),
  M47: by('M47'),
  M48: by('M48'),
  M49: by('M49'),
  M50: by('M50', 'X80', 'X81'),
  M51: by('M51', 'X82', 'X83'),
  M52: by('M52', 'X84', 'X85', 'X87'),
  M53: by('M53'),
  M54: impossible('queues are not handed to members: every receive pops from all of them'),
  M55: delays,
  M56: delays,
  M57: delays,
  M58: transactions,
  M59: transactions,
  M60: transactions,
  M61: transactions,
  M62: transactions,
  M63: waits('topics that are deleted and made again in the world'),
  M64: by('Y03'),
  M65: by('M65'),
  M66: by('M66', 'X76', 'Y01'),
  M67: by('M67', 'X75'),
  M68: by('M68', 'X90'),
  M69: elsewhere('test/e2e: routes of official clients after a change of leader'),
  M70: elsewhere('dead letters and retries point at the message’s own record: there is no second copy that could lose a flag'),
  M71: by('M71'),
  M72: by('M72'),
}
