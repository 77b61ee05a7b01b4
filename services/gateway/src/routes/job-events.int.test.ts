import { type DataOf, events, toMessage } from '@tagloom/contracts'
import { completeJob, planStage, storePages } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { openTestGateway, type TestGateway } from '../testing.ts'

let gateway: TestGateway
let key: string
let wikiId: number
let jobId: string
beforeAll(async () => {
  gateway = await openTestGateway()
  await gateway.app.listen({ host: '127.0.0.1', port: 0 })
  key = await gateway.key(['write'])
})
afterAll(() => gateway.close())
beforeEach(async () => {
  wikiId = await createTestWiki(gateway.deps.db)
  const page = { externalId: 'a', title: 't', text: 'x', goldLabel: null, tags: undefined }
  await storePages(gateway.deps.db, wikiId, [page])
  jobId = (await gateway.call(key, 'POST', `/api/wikis/${wikiId}/jobs`)).body.id
})

interface SentEvent {
  readonly event: string
  readonly id: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: a job or a progress
  readonly data: any
}

async function* listen(lastEventId?: string, at = gateway): AsyncGenerator<SentEvent> {
  const answer = await fetch(`${at.app.listeningOrigin}/api/jobs/${jobId}/events`, {
    headers: { 'x-api-key': key, accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) },
  })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  let text = ''
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
      )
      text = text.slice(end + 2)
      if (fields.has('data'))
        yield { event: fields.get('event')!, id: fields.get('id'), data: JSON.parse(fields.get('data')!) }
    }
  }
}

const progress = (done: number) =>
  gateway.deps.bus.publish(
    toMessage(
      events.jobProgressed,
      { wiki_id: wikiId, job_id: jobId, stage: 'embed', done, total: 3, unit: 'pages' } satisfies DataOf<
        typeof events.jobProgressed
      >,
      { source: 'test' },
    ),
  )
const complete = () =>
  gateway.deps.relay.commit(async (tx, owe) => {
    await completeJob(tx, jobId, {})
    const data = { wiki_id: wikiId, job_id: jobId, pages_processed: 1, pages_tagged: 1, tags_applied: 1, samples: 0 }
    owe(toMessage(events.jobCompleted, data, { source: 'test' }))
  })
const until = async (stream: AsyncGenerator<SentEvent>, event: string): Promise<SentEvent[]> => {
  const seen: SentEvent[] = []
  for (;;) {
    const next = await stream.next()
    if (next.done) return seen
    seen.push(next.value)
    if (next.value.event === event) return seen
  }
}

it('begins with a snapshot, tells progress as it comes, and ends with the job', async () => {
  await gateway.deps.db.transaction((tx) => planStage(tx, jobId, 'embed', [{}, {}]))
  const stream = listen()
  expect((await stream.next()).value).toMatchObject({ event: 'snapshot', data: { id: jobId, status: 'running' } })
  const sent = (async () => {
    // The stream follows from its beginning on, which is a moment after the snapshot at the latest.
    for (let done = 1; done <= 3; done++) await progress(done)
    await complete()
  })()
  const seen = await until(stream, 'ended')
  await sent
  expect(seen.at(-1)).toMatchObject({ event: 'ended', data: { id: jobId, status: 'completed' } })
  expect(seen.filter((each) => each.event === 'progress').map((each) => each.data.done)).toEqual(
    [1, 2, 3].slice(3 - (seen.length - 1)),
  )
  expect((await stream.next()).done).toBe(true)
})

it('goes on after the last event that the client saw', async () => {
  const first = listen((await place()).toString())
  await progress(1)
  await progress(2)
  await progress(3)
  const before = await until(first, 'progress')
  await first.return(undefined)
  const again = listen(before.at(-1)!.id)
  const rest: SentEvent[] = []
  while (rest.filter((each) => each.event === 'progress').length < 2) rest.push((await again.next()).value)
  await again.return(undefined)
  expect(before.at(-1)?.data.done).toBe(1)
  expect(rest.filter((each) => each.event === 'progress').map((each) => each.data.done)).toEqual([2, 3])
})

/** The place of the newest event in the stream. */
async function place(): Promise<number> {
  const stop = new AbortController()
  for await (const { sequence } of gateway.deps.bus.follow({
    subjects: [events.jobRequested.filter],
    fromSequence: 1,
    signal: stop.signal,
  })) {
    stop.abort()
    return sequence
  }
  throw new Error('the stream is empty')
}

it('of a job that has ended is its snapshot and its end', async () => {
  await complete()
  const seen: string[] = []
  for await (const { event, data } of listen()) seen.push(`${event} ${data.status}`)
  expect(seen).toEqual(['snapshot completed', 'ended completed'])
})

it('ends also when the message of the end was lost', async () => {
  const stream = listen()
  await stream.next()
  await gateway.deps.db.transaction((tx) => completeJob(tx, jobId, {}))
  expect((await until(stream, 'ended')).at(-1)?.data.status).toBe('completed')
})

it('is refused in another form, to another wiki, and without a job', async () => {
  const url = `/api/jobs/${jobId}/events`
  const refused = await gateway.call(key, 'GET', url, undefined, { accept: 'application/json' })
  expect(refused).toMatchObject({ status: 406, body: { code: 'not_acceptable' } })
  expect((await gateway.call(key, 'GET', '/api/jobs/none/events')).body.code).toBe('job_not_found')
  expect((await gateway.call(key, 'GET', url, undefined, { 'last-event-id': 'x' })).status).toBe(400)
})

it('ends when the gateway closes, which it does not hold up', async () => {
  const closing = await openTestGateway()
  await closing.app.listen({ host: '127.0.0.1', port: 0 })
  const own = await closing.key(['write'])
  const wiki = await createTestWiki(closing.deps.db)
  await storePages(closing.deps.db, wiki, [
    { externalId: 'a', title: 't', text: 'x', goldLabel: null, tags: undefined },
  ])
  const { id } = (await closing.call(own, 'POST', `/api/wikis/${wiki}/jobs`)).body
  const answer = await fetch(`${closing.app.listeningOrigin}/api/jobs/${id}/events`, { headers: { 'x-api-key': own } })
  const reader = answer.body!.getReader()
  await reader.read()
  const began = performance.now()
  const [end] = await Promise.all([reader.read(), closing.close()])
  expect(end.done).toBe(true)
  expect(performance.now() - began).toBeLessThan(2_500)
})
