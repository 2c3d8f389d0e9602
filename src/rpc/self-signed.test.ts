import { createPrivateKey, X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { makeSelfSigned } from './self-signed.ts'

const wallMs = Date.UTC(2026, 10, 21)
const made = makeSelfSigned({
  hosts: ['localhost', '127.0.0.1', 'broker.example'],
  wallMs,
  serial: Uint8Array.of(0x80, 1, 2, 3, 4, 5, 6, 7),
})
const certificate = new X509Certificate(made.cert)

test('a self-signed certificate is signed by itself and fits its key', () => {
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect(certificate.checkPrivateKey(createPrivateKey(made.key))).toBe(true)
})

test('it is valid for its names and addresses, and no others', () => {
  expect(certificate.checkHost('localhost')).toBe('localhost')
  expect(certificate.checkHost('broker.example')).toBe('broker.example')
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(certificate.checkHost('other.example')).toBeUndefined()
})

test('it is valid from two days ago for about ten years', () => {
  expect(Date.parse(certificate.validFrom)).toBe(wallMs - 2 * 24 * 3_600_000)
  expect(Date.parse(certificate.validTo)).toBeGreaterThan(wallMs + 3_640 * 24 * 3_600_000)
})

test('its serial number stays positive', () => {
  expect(certificate.serialNumber).toBe('8001020304050607')
})

test('dates after 2049 are written in full', () => {
  const late = new X509Certificate(makeSelfSigned({ hosts: ['h'], wallMs: Date.UTC(2048, 0, 1), serial: Uint8Array.of(1) }).cert)
  expect(new Date(late.validTo).getUTCFullYear()).toBe(2057)
})
