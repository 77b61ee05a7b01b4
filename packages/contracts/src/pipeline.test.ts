import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { asyncApiDocument } from './asyncapi.ts'
import { toCloudEvent, toMessage } from './envelope.ts'
import { events } from './events.ts'
import { pipeline } from './pipeline.ts'

const services = fileURLToPath(new URL('../../../services/', import.meta.url))

describe('the pipeline table', () => {
  test('names every event once, and no other', () => {
    const named = pipeline.map((flow) => flow.event.name).sort()
    expect(named).toEqual(
      Object.values(events)
        .map((event) => event.name)
        .sort(),
    )
  })

  test('gives every event a producer, and a consumer or a note that says for whom it is', () => {
    for (const flow of pipeline) {
      expect(flow.producers.length, flow.event.name).toBeGreaterThan(0)
      expect(flow.consumers.length > 0 || flow.note !== undefined, flow.event.name).toBe(true)
    }
  })

  test('shows in the folders: a handler without a note has the folder of its event in each consumer', () => {
    for (const flow of pipeline.filter((f) => f.note === undefined)) {
      const folder = flow.event.name.replace('.', '-')
      const shared = {
        'metrics-aggregator': ['job-requested', 'job-completed', 'job-failed', 'metrics-sampled'],
      } as Record<string, string[]>
      for (const consumer of flow.consumers) {
        if (consumer === 'gateway') continue
        const known = shared[consumer]?.includes(folder) || existsSync(`${services}${consumer}/src/${folder}`)
        expect(known, `${consumer}/src/${folder}`).toBe(true)
      }
    }
  })
})

describe('an event', () => {
  const data = { wiki_id: 7, job_id: 'cluster_wiki_7_abc', batch: 3 }

  test('has the subject of its wiki', () => {
    expect(events.embedBatch.subject(data)).toBe('tagloom.v1.7.embed.batch')
    expect(events.alertRaised.filter).toBe('tagloom.v1.*.alert.raised.*')
  })

  test('has one id however often it is sent, and a resend has a message id of its own', () => {
    const first = toMessage(events.embedBatch, data, { source: 'tagger' })
    const again = toMessage(events.embedBatch, data, { source: 'tagger' }, 'r1')
    expect(JSON.parse(again.body).id).toBe(JSON.parse(first.body).id)
    expect(again.messageId).not.toBe(first.messageId)
  })

  test('is a CloudEvent', () => {
    const envelope = toCloudEvent(events.embedBatch, data, {
      source: 'tagger',
      traceparent: '00-a-b-01',
      requestId: 'r',
      now: new Date(0),
    })
    expect(envelope).toEqual({
      specversion: '1.0',
      id: 'cluster_wiki_7_abc.embed.3',
      source: '/tagloom/tagger',
      type: 'io.tagloom.embed.batch.v1',
      time: '1970-01-01T00:00:00.000Z',
      datacontenttype: 'application/json',
      traceparent: '00-a-b-01',
      requestid: 'r',
      data,
    })
  })
})

test('the AsyncAPI document has a channel, a message and an operation for each event', () => {
  const document = asyncApiDocument('nats.example:4222') as {
    channels: object
    operations: object
    components: { messages: object }
  }
  const count = Object.keys(events).length
  expect(Object.keys(document.channels)).toHaveLength(count)
  expect(Object.keys(document.operations)).toHaveLength(count)
  expect(Object.keys(document.components.messages)).toHaveLength(count)
})
