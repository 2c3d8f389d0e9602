import { createPrivateKey, X509Certificate } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { makeSelfSigned, type Certificate } from './self-signed.ts'

const wallMs = Date.UTC(2026, 10, 21)
let made: Certificate
let certificate: X509Certificate

beforeAll(async () => {
  made = await makeSelfSigned({ hosts: ['localhost', '127.0.0.1', '::1', 'broker.example'], wallMs })
  certificate = new X509Certificate(made.cert)
})

test('a self-signed certificate is signed by itself and fits its key', () => {
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect(certificate.checkPrivateKey(createPrivateKey(made.key))).toBe(true)
})

test('it is valid for its names and addresses, and no others', () => {
  expect(certificate.checkHost('localhost')).toBe('localhost')
  expect(certificate.checkHost('broker.example')).toBe('broker.example')
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(certificate.checkIP('::1')).toBe('::1')
  expect(certificate.checkHost('other.example')).toBeUndefined()
})

test('it is valid from two days ago for about ten years, also past 2049', async () => {
  expect(Date.parse(certificate.validFrom)).toBe(wallMs - 2 * 24 * 3_600_000)
  expect(Date.parse(certificate.validTo)).toBeGreaterThan(wallMs + 3_640 * 24 * 3_600_000)
  const late = new X509Certificate((await makeSelfSigned({ hosts: ['h'], wallMs: Date.UTC(2048, 0, 1) })).cert)
  expect(new Date(late.validTo).getUTCFullYear()).toBe(2057)
})

test('it is nobody else: no certificate can be made with it', () => {
  expect(certificate.ca).toBe(false)
})
