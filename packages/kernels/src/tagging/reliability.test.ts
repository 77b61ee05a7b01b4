import { expect, it } from 'vitest'
import { expectedCalibrationError } from './reliability.ts'

it('is the mean distance of confidence and hit rate, by count', () => {
  const bins = [
    { count: 30, meanConfidence: 0.9, hitRate: 0.8 },
    { count: 10, meanConfidence: 0.5, hitRate: 0.7 },
  ]
  expect(expectedCalibrationError(bins)).toBeCloseTo((30 * 0.1 + 10 * 0.2) / 40, 12)
})

it('is nothing without a page tag, and 0 where confidence is right', () => {
  expect(expectedCalibrationError([])).toBeNull()
  expect(expectedCalibrationError([{ count: 4, meanConfidence: 0.75, hitRate: 0.75 }])).toBe(0)
})
