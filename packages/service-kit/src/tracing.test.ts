import { expect, it } from 'vitest'
import { childTraceparent, traceIdOf } from './tracing.ts'

const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'

it('continues a trace with a span of its own and the flags of the parent', () => {
  const child = childTraceparent(parent)
  expect(child).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-00$/)
  expect(child).not.toBe(parent)
})

it('begins a new trace where none, or a malformed one, was given', () => {
  for (const given of [
    undefined,
    '',
    'abc',
    parent.replace('4bf9', 'XXXX'),
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `ff${parent.slice(2)}`,
  ]) {
    expect(traceIdOf(given)).toBeUndefined()
    expect(traceIdOf(childTraceparent(given))).toMatch(/^[0-9a-f]{32}$/)
  }
})

it('reads the trace id', () => {
  expect(traceIdOf(parent)).toBe('4bf92f3577b34da6a3ce929d0e0e4736')
})
