import { beforeEach, expect, test } from 'vitest'
import { CallGate } from './call-gate.ts'

let nowMs: number
let fire: () => void
let drops: number
let gate: CallGate

beforeEach(() => {
  nowMs = 1_000
  drops = 0
  const clock = {
    nowMs: () => nowMs,
    wallMs: () => 0,
    soon: (callback: () => void) => callback(),
    setTimer(_delayMs: number, callback: () => void) {
      fire = callback
      return { cancel: () => (fire = () => undefined) }
    },
  }
  gate = new CallGate(clock, () => (drops += 1))
})

test('calls come in while time passes as it should', () => {
  for (let i = 0; i < 30; i++) {
    nowMs += 1_000
    fire()
    expect(gate.tryEnter()).toBe(true)
  }
  expect(drops).toBe(0)
})

test('the first call after a stall drops all connections and is not served', () => {
  nowMs += 10_001
  expect(gate.tryEnter()).toBe(false)
  expect(drops).toBe(1)
})

test('a connection that waited through a stall is not taken, one that comes later is', () => {
  nowMs += 60_000
  expect(gate.admitsConnection()).toBe(false)
  nowMs += 999
  expect(gate.admitsConnection()).toBe(false)
  nowMs += 1
  expect(gate.admitsConnection()).toBe(true)
  expect(drops).toBe(1)
})

test('a stall is noticed by the timer when nobody calls', () => {
  nowMs += 11_000
  fire()
  expect(drops).toBe(1)
  expect(gate.tryEnter()).toBe(true)
})

test('it is idle when the last call has left', () => {
  let idle = 0
  gate.tryEnter()
  gate.tryEnter()
  gate.onIdle(() => (idle += 1))
  gate.leave()
  expect(idle).toBe(0)
  gate.leave()
  expect(idle).toBe(1)
  gate.onIdle(() => (idle += 1))
  expect(idle).toBe(2)
})
