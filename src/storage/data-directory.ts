/**
 * Whose data directory this is: `VERSION`, a small JSON text with the format, the cluster, the node and the directory's own id. Written atomically,
 * once; a directory of another node, cluster or format is refused with one sentence.
 *
 * Its last field is a checksum of the others. Damaged, it is made anew from what repeats it: the hard state knows the directory's id, the configuration
 * the rest, and the segments and the other members would notice a wrong one. (Builds before wrote no checksum; such a file is believed.)
 *
 * There is no lock file of ours: LevelDB's own `LOCK` under `state/` is taken first by src/node and keeps a second process out; the operating
 * system drops it with the process, so it can't be stale.
 */
import { crc32c } from '../platform/bytes.ts'
import type { Disk } from '../platform/disk.ts'
import type { Random } from '../platform/random.ts'
import { directoryIdBytes } from './segment.ts'
import { StorageError } from './storage-error.ts'

export const versionName = 'VERSION'
/** Rises when an older program could not read what a newer one writes. */
export const dataFormat = 1

export interface DataIdentity {
  readonly clusterName: string
  readonly nodeName: string
  readonly nodeId: number
}

/** What the directory says of itself; `isDamaged`: VERSION must be made anew. */
export interface FoundDirectory {
  readonly directoryId: Uint8Array
  readonly isDamaged: boolean
}

/** What VERSION says; undefined when there is none. `idElsewhere` helps out when it is damaged. Throws StorageError for a directory that is not ours. */
export function readDataDirectory(
  disk: Disk,
  dataDirectory: string,
  identity: DataIdentity,
  idElsewhere: () => Uint8Array | undefined,
): FoundDirectory | undefined {
  const path = `${dataDirectory}/${versionName}`
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, { create: false })
  const bytes = new Uint8Array(file.sizeBytes())
  file.readSync(bytes, 0)
  file.close()
  const version = parseVersion(Buffer.from(bytes).toString('utf8'))
  if (version === undefined) {
    const directoryId = idElsewhere()
    if (directoryId !== undefined) return { directoryId, isDamaged: true }
    throw new StorageError(`${path}: it is damaged; restore it from a copy or start with an empty directory`, path)
  }
  if (version.format !== dataFormat) {
    throw new StorageError(`${path}: the data has format ${version.format}, this program reads format ${dataFormat}`, path)
  }
  refuseForeign(path, 'cluster', version.clusterName, identity.clusterName)
  refuseForeign(path, 'node', `${version.nodeName} (${version.nodeId})`, `${identity.nodeName} (${identity.nodeId})`)
  return { directoryId: Uint8Array.from(Buffer.from(version.directoryId, 'hex')), isDamaged: false }
}

/** Makes VERSION, whole or not at all. */
export function writeDataDirectory(disk: Disk, dataDirectory: string, identity: DataIdentity, directoryId: Uint8Array): void {
  const path = `${dataDirectory}/${versionName}`
  const bytes = encodeVersion({ ...identity, format: dataFormat, directoryId: Buffer.from(directoryId).toString('hex') })
  if (disk.exists(`${path}.tmp`)) disk.remove(`${path}.tmp`)
  const file = disk.open(`${path}.tmp`, { create: true })
  file.writeSync(bytes, 0)
  file.syncSync()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(dataDirectory)
}

export function newDirectoryId(random: Random): Uint8Array {
  return random.bytes(directoryIdBytes)
}

/** The whole text. */
export function encodeVersion({ format, clusterName, nodeName, nodeId, directoryId }: Version): Uint8Array {
  const fields = { format, cluster: clusterName, node: nodeName, nodeId, directoryId }
  return Buffer.from(`${JSON.stringify({ ...fields, crc: crcOf(fields) }, undefined, 2)}\n`)
}

function crcOf(fields: Readonly<Record<string, unknown>>): number {
  return crc32c(Buffer.from(JSON.stringify(fields)))
}

export interface Version extends DataIdentity {
  readonly format: number
  readonly directoryId: string
}

function parseVersion(text: string): Version | undefined {
  const fields = parseObject(text)
  if (fields === undefined) return undefined
  const { format, cluster, node, nodeId, directoryId, crc } = fields
  if (typeof format !== 'number') return undefined
  if (typeof cluster !== 'string' || typeof node !== 'string' || typeof nodeId !== 'number') return undefined
  if (typeof directoryId !== 'string' || !/^[0-9a-f]{32}$/.test(directoryId)) return undefined
  if (crc !== undefined && crc !== crcOf({ format, cluster, node, nodeId, directoryId })) return undefined
  return { format, clusterName: cluster, nodeName: node, nodeId, directoryId }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function refuseForeign(path: string, what: string, found: string, ours: string): void {
  if (found === ours) return
  throw new StorageError(`${path}: the data directory belongs to ${what} ${found}, not to ${ours}; give this node its own directory`, path)
}
