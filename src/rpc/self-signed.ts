/**
 * A certificate for those clients whose default is TLS and who check nobody's identity (Java, Go, C++, C#): made in memory when the first of
 * them comes and none is configured. ECDSA P-256, written as DER by hand: an X.509 v3 certificate is thirty nested fields, and a library for
 * it would be the heaviest module of the node. Not for clients that verify: those need a configured certificate.
 */
import { generateKeyPairSync, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { assert } from '../platform/assert.ts'

export interface Certificate {
  /** PEM. */
  readonly cert: Buffer
  readonly key: Buffer
}

export interface SelfSignedOptions {
  /** Names and IPv4 addresses under which the node is reached. */
  readonly hosts: readonly string[]
  readonly wallMs: number
  /** At least 8 bytes: the serial number. */
  readonly serial: Uint8Array
}

const dayMs = 24 * 3_600_000
/** Begins before now, because the clocks of clients differ from ours. */
const backdatedMs = 2 * dayMs
const lifetimeMs = 3_650 * dayMs

export function makeSelfSigned(options: SelfSignedOptions): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(oid('2.5.4.3'), text(options.hosts[0] ?? 'raftmq'))))
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))), // v3
    integer(Buffer.from(options.serial)),
    ecdsaWithSha256,
    name, // issuer
    sequence(time(options.wallMs - backdatedMs), time(options.wallMs + lifetimeMs)),
    name, // subject
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(alternativeNames(options.hosts))),
  )
  const signature = sign('sha256', body, { key: privateKey, dsaEncoding: 'der' })
  const certificate = sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = certificate.toString('base64').replaceAll(/.{1,64}/g, '$&\n')
  return {
    cert: Buffer.from(`-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`),
    key: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  }
}

/** Tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const length = content.length
  assert(length < 0x1_0000, 'der-length', length)
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function set(...parts: readonly Buffer[]): Buffer {
  return der(0x31, Buffer.concat(parts))
}

function explicit(number: number, content: Buffer): Buffer {
  return der(0xa0 | number, content)
}

/** Unsigned, with the fewest bytes that keep the sign. */
function integer(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const trimmed = bytes.subarray(start)
  return der(0x02, (trimmed[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed)
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 0x7f]
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Buffer.from(bytes))
}

function text(value: string): Buffer {
  return der(0x0c, Buffer.from(value, 'utf8'))
}

/** UTCTime up to 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5). */
function time(wallMs: number): Buffer {
  const digits = new Date(wallMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return Number(digits.slice(0, 4)) < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}

/** subjectAltName: dNSName is [2], iPAddress is [7]. */
function alternativeNames(hosts: readonly string[]): Buffer {
  const names = hosts.map(host =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host, 'latin1')),
  )
  return sequence(oid('2.5.29.17'), der(0x04, sequence(...names)))
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))
