import { CloudEvent, events, type MetricSample, toMessage } from '@tagloom/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readAsWritten, textOf } from './as-written.ts'
import { readMessage } from './message.ts'

const sample: MetricSample = {
  wiki_id: 1,
  job_id: 'job',
  stage: 'embed',
  batch: '0',
  service: 'tagger',
  started_at: '2026-01-30T00:00:00.000Z',
  ended_at: '2026-01-30T00:00:01.000Z',
  duration_seconds: 1,
  counters: {},
  gauges: {},
}

/** What the long way makes of a text, in the same form. */
function readLong(text: string): { envelope: unknown; data: unknown } | undefined {
  try {
    const envelope = JSON.parse(text)
    return { envelope, data: envelope.data }
  } catch {
    return undefined
  }
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const contexts = fc.record({
  source: fc.string(),
  traceparent: fc.option(fc.constant(traceparent), { nil: undefined }),
  requestId: fc.option(fc.string(), { nil: undefined }),
  now: fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
})
const details = fc.dictionary(fc.string(), fc.jsonValue())
const samples = fc.record({ job_id: fc.string({ minLength: 1 }), batch: fc.string({ minLength: 1 }), details })

describe('an envelope as we write it', () => {
  it('is read by the one expression', () => {
    const context = { source: 'tagger', requestId: 'r-1', traceparent }
    for (const given of [{ source: 'tagger' }, context]) {
      const { body } = toMessage(events.metricsSampled, sample, given)
      expect(readAsWritten(body)).toEqual({ envelope: JSON.parse(body), json: JSON.stringify(sample) })
    }
  })

  it('is read as the long way reads it, or left to the long way, whatever is in its fields', () => {
    fc.assert(
      fc.property(contexts, samples, (context, own) => {
        const { body } = toMessage(events.metricsSampled, { ...sample, ...own }, context)
        const found = readAsWritten(body)
        if (!found) return
        const long = readLong(body)
        expect(found.envelope).toEqual(long?.envelope)
        expect(JSON.parse(found.json)).toEqual(long?.data)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a text that was changed anywhere', () => {
  const { body } = toMessage(
    events.metricsSampled,
    { ...sample, details: { said: '"data":{}}' } },
    { source: 'tagger' },
  )
  const pieces = ['"', '\\', '}', '{', ',', ' ', '\n', '"data":', ',"data":{}', '\u0000', 'é', '1', 'null']

  it('is never taken for an envelope that its schema refuses, nor read otherwise than by the long way', () => {
    const changes = fc.tuple(fc.nat({ max: body.length }), fc.nat({ max: 12 }), fc.constantFrom('', ...pieces))
    let taken = 0
    fc.assert(
      fc.property(changes, ([at, removed, piece]) => {
        const text = body.slice(0, at) + piece + body.slice(at + removed)
        const found = readAsWritten(text)
        if (!found) return
        taken++
        const long = readLong(text)
        expect(found.envelope).toEqual(long?.envelope)
        expect(JSON.parse(found.json)).toEqual(long?.data)
        expect(Object.keys(found.envelope)).toEqual(expect.arrayContaining(CloudEvent.required as string[]))
      }),
      { numRuns: 5_000 },
    )
    expect(taken).toBeGreaterThan(100)
  })

  it('is refused with the same words whether or not the one expression reads its envelope', () => {
    const refusal = (text: string): string => {
      try {
        readMessage([events.metricsSampled], { data: Buffer.from(text) } as never, new AbortController().signal)
      } catch (error) {
        return (error as Error).message
      }
      return 'taken'
    }
    const bad = body.replace('"wiki_id":1', '"wiki_id":"one"')
    expect(refusal(bad)).toMatch(/^data of metrics\.sampled is not as declared: \/wiki_id/)
    expect(refusal(bad.replace('"time":', ' "time":'))).toBe(refusal(bad))
  })
})

it('takes UTF-8 as it is and refuses what is not', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(!text.startsWith('\ufeff') && text.isWellFormed())
      expect(textOf(Buffer.from(`x${text}`))).toBe(`x${text}`)
    }),
  )
  expect(() => textOf(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(TypeError)
})
