import { PassThrough } from 'node:stream'
import { expect, it, vi } from 'vitest'
import { whileItFlows } from './while-it-flows.ts'

it('gives chunks as they come, and ends with the body', async () => {
  const body = new PassThrough()
  body.write('a')
  body.end('b')
  let text = ''
  for await (const chunk of whileItFlows(body, 1000)) text += chunk
  expect(text).toBe('ab')
})

it('gives up a sender that falls silent, and lets go of its body', async () => {
  vi.useFakeTimers()
  const body = new PassThrough()
  const chunks = whileItFlows(body, 30_000)
  body.write('a')
  await chunks.next()
  const silent = expect(chunks.next()).rejects.toMatchObject({ code: 'request_timeout' })
  await vi.advanceTimersByTimeAsync(30_000)
  await silent
  vi.useRealTimers()
  body.destroy()
})

it('does not count the time that the taker needs', async () => {
  vi.useFakeTimers()
  const body = new PassThrough()
  body.write('a')
  const chunks = whileItFlows(body, 30_000)
  await chunks.next()
  await vi.advanceTimersByTimeAsync(3_600_000)
  body.end('b')
  expect(String((await chunks.next()).value)).toBe('b')
  vi.useRealTimers()
})
