import { expect, test } from 'vitest'
import { simProgressLine } from './chaos-progress.ts'

const progress = { done: 12_345, of: 60_000, failed: 0, simulatedMs: 1_234.5 * 3_600_000, seconds: 3_000 }

test('the line says how far it has got, how fast, and how much time that was', () => {
  expect(simProgressLine({ ...progress, done: 15, of: 60, seconds: 10, simulatedMs: 900_000 }, 120)).toBe(
    '██████░░░░░░░░░░░░░░░░░░ 15 of 60 seeds, 1.5 a second, 0.3 hours simulated',
  )
})

test.each([20, 40, 60, 66, 80, 120, 300])('in %i columns it takes one line', columns => {
  for (const failed of [0, 17]) expect(simProgressLine({ ...progress, failed }, columns).length).toBeLessThan(columns)
})

test('a narrow terminal loses the bar before the figures, and failures are shouted', () => {
  expect(simProgressLine({ ...progress, failed: 2 }, 80)).toMatch(
    /^[█░]{6,} 12345 of 60000 seeds, 2 FAILED, 4\.1 a second, 1234\.5 hours simulated$/,
  )
  expect(simProgressLine(progress, 64)).toBe('12345 of 60000 seeds, 4.1 a second, 1234.5 hours simulated')
})

test('before the first seed has ended the bar is empty and nothing is divided by nothing', () => {
  expect(simProgressLine({ ...progress, done: 0, simulatedMs: 0, seconds: 0 }, 100)).toMatch(/^░{24} 0 of 60000 seeds, 0\.0 a second/)
})
