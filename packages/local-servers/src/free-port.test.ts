import { expect, test } from 'vitest'
import { freePort } from './free-port.ts'

test('a free port is given once, though nothing listens on it yet', async () => {
  const ports: number[] = []
  for (let k = 0; k < 500; k++) ports.push(await freePort())
  expect(new Set(ports).size).toBe(500)
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(20_000)
  expect(Math.max(...ports)).toBeLessThan(32_000)
})
