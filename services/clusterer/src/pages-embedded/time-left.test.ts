import { expect, test } from 'vitest'
import { Pace, TimeLeft } from './time-left.ts'

test('time left falls and the percentage rises while what was expected comes true', () => {
  const left = new TimeLeft(10)
  expect(left.at(1)).toEqual({ percent: 10, secondsLeft: 9 })
  left.reached(0.4, 4)
  expect(left.at(5)).toEqual({ percent: 50, secondsLeft: 5 })
  left.reached(0.9, 9)
  expect(left.at(9)).toEqual({ percent: 90, secondsLeft: 1 })
})

test('a clustering slower than expected has time left all the same, and its percentage does not go back', () => {
  const left = new TimeLeft(2)
  expect(left.at(1.9).percent).toBe(91)
  expect(left.at(20)).toEqual({ percent: 91, secondsLeft: 2 })
  left.reached(0.32, 20)
  const { percent, secondsLeft } = left.at(20)
  expect(percent).toBe(91)
  expect(secondsLeft).toBeGreaterThan(5)
})

test('a pace learns from what was clustered, within bounds', () => {
  const pace = new Pace()
  const first = pace.expectedSeconds(50_000, 384)
  expect(first).toBeCloseTo(8.3, 5)
  expect(pace.expectedSeconds(100_000, 384)).toBeGreaterThan(2 * first - 1)
  pace.took(2 * first, 50_000, 384)
  expect(pace.expectedSeconds(50_000, 384)).toBeCloseTo(2 * first, 5)
  pace.took(1_000, 50_000, 384)
  expect(pace.expectedSeconds(50_000, 384)).toBeCloseTo(8 * first, 5)
})
