import { type EnvelopeContext, events, type MetricSample, toMessage } from '@tagloom/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readerOfWritten } from './as-written.ts'
import { read, textOf } from './message.ts'

const event = events.metricsSampled
const readWritten = readerOfWritten(event, ['batch', 'job_id', 'stage'])
const inOneStep = (text: string) => readWritten(Buffer.from(text))

/** What the long way makes of a text; undefined for what it refuses. */
function theLongWay(text: string): MetricSample | undefined {
  try {
    return read([event], Buffer.from(text)).data
  } catch {
    return undefined
  }
}

/** That a text is read in one step exactly as the long way reads it, or left to it. @returns whether it was read */
function holds(text: string): boolean {
  const written = inOneStep(text)
  if (!written) return false
  const data = theLongWay(text)
  expect(data).toBeDefined()
  expect(JSON.parse(Buffer.from(written.json).toString())).toEqual(data)
  expect(written.fields).toEqual({ job_id: data?.job_id, stage: data?.stage, batch: data?.batch })
  return true
}

const sample: MetricSample = {
  wiki_id: 1,
  job_id: 'cluster_wiki_1_abc',
  stage: 'embed',
  batch: '0',
  service: 'tagger',
  version: 'a1b2c3d',
  started_at: '2026-01-30T00:00:00.000Z',
  ended_at: '2026-01-30T00:00:01.000Z',
  duration_seconds: 1.25,
  counters: { pages_embedded: 16, llm_cost_usd: 0.5 },
  gauges: { layers: -2, churn_percentage: 1e-7 },
  values: { llm_latency_ms: [1, 2.5, 0], none: [] },
}
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const bodyOf = (given: MetricSample, context: EnvelopeContext = { source: 'tagger' }): string =>
  toMessage(event, given, context).body

describe('a sample as we write it', () => {
  it('is read and checked in one step, whatever fields it has beside details', () => {
    const all = Object.keys(event.schema.properties).filter((name) => name !== 'details')
    expect(Object.keys(sample), 'the sample of this test has every field').toEqual(all)
    for (const context of [{ source: 'tagger' }, { source: 'tagger', requestId: 'r-1', traceparent }]) {
      const written = inOneStep(bodyOf(sample, context))
      expect(written?.fields).toEqual({ job_id: sample.job_id, stage: 'embed', batch: '0' })
      expect(Buffer.from(written?.json ?? []).toString()).toBe(JSON.stringify(sample))
    }
    const { values: _, version: __, ...short } = sample
    expect(holds(bodyOf({ ...short, counters: {}, gauges: {} }))).toBe(true)
  })

  it('is left to the long way where its texts need escapes, or it has details', () => {
    for (const other of [{ batch: 'a "step"' }, { batch: 'é' }, { gauges: { 'a\\b': 1 } }, { details: { a: 1 } }]) {
      const body = bodyOf({ ...sample, ...other })
      expect(inOneStep(body)).toBeUndefined()
      expect(theLongWay(body)).toEqual({ ...sample, ...other })
    }
  })

  it('is read as the long way reads it, or left to it, whatever is in its fields', () => {
    const few = { maxKeys: 3 }
    const odd = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(-1, 1e21, 1e-300, 0.1, -0))
    const numbers = fc.oneof({ weight: 30, arbitrary: fc.integer({ min: 1, max: 1e9 }) }, { weight: 1, arbitrary: odd })
    const names = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'llm_cost_usd', 'llm_cost_usd2', 'pages_embedded'))
    const own = fc.record(
      {
        wiki_id: numbers,
        job_id: fc.string(),
        batch: fc.string(),
        version: fc.string({ maxLength: 120 }),
        duration_seconds: numbers,
        counters: fc.dictionary(names, numbers, few),
        gauges: fc.dictionary(names, numbers, few),
        values: fc.dictionary(names, fc.array(numbers, { maxLength: 3 }), few),
      },
      { requiredKeys: [] },
    )
    let taken = 0
    fc.assert(
      fc.property(own, (changed) => {
        if (holds(bodyOf({ ...sample, ...changed }))) taken++
      }),
      { numRuns: 2_000 },
    )
    expect(taken).toBeGreaterThan(200)
  })

  it('is left to the long way when it is so long that an array may have too many items', () => {
    const of = (items: number) => bodyOf({ ...sample, values: { ms: new Array<number>(items).fill(1) } })
    expect(holds(of(9_000))).toBe(true)
    for (const items of [10_000, 10_001]) expect(inOneStep(of(items))).toBeUndefined()
    expect(theLongWay(of(10_000))).toBeDefined()
    expect(theLongWay(of(10_001))).toBeUndefined()
  })
})

describe('a text that was changed anywhere', () => {
  const body = bodyOf(sample, { source: 'tagger', requestId: '"data":{', traceparent })
  const pieces = [
    '"',
    '\\',
    '}',
    '{',
    ',',
    ' ',
    '\n',
    '"data":',
    ',"data":{}',
    '\u0000',
    'é',
    '1',
    '0',
    '-',
    '.',
    'null',
  ]

  it('is never taken where the long way refuses it, nor read otherwise', () => {
    const changes = fc.tuple(fc.nat({ max: body.length }), fc.nat({ max: 12 }), fc.constantFrom('', ...pieces))
    let taken = 0
    fc.assert(
      fc.property(fc.array(changes, { minLength: 1, maxLength: 2 }), (all) => {
        let text = bodyOf(sample)
        for (const [at, removed, piece] of all) text = text.slice(0, at) + piece + text.slice(at + removed)
        if (holds(text)) taken++
      }),
      { numRuns: 10_000 },
    )
    expect(taken).toBeGreaterThan(100)
  })

  it('is left to the long way when it is of another event', () => {
    expect(inOneStep(bodyOf(sample).replace(event.type, events.jobCompleted.type))).toBeUndefined()
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
