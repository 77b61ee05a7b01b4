import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Database } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestGateway, type TestGateway } from '../testing.ts'

let db: Database
let gateway: TestGateway
let key: string
let wiki: number
beforeAll(async () => {
  gateway = await openTestGateway()
  db = gateway.deps.db
  key = await gateway.key(['write'])
})
afterAll(() => gateway.close())
beforeEach(async () => {
  wiki = await createTestWiki(db)
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const inUse = () => {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const page = (id: string, more: object = {}) => ({ id, title: `Title ${id}`, text: `Text ${id}`, ...more })
const ndjson = (...lines: (object | string)[]) =>
  lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
const send = (body: unknown, query = '', type = 'application/x-ndjson') =>
  gateway.call(key, 'POST', `/api/wikis/${wiki}/pages${query}`, body, { 'content-type': type })
const get = (path: string) => gateway.call(key, 'GET', `/api/wikis/${wiki}${path}`)

describe('an import', () => {
  it('takes NDJSON and reports what came of each page', async () => {
    const first = await send(ndjson(page('a', { tags: ['Gold'] }), page('b')))
    expect(first).toMatchObject({
      status: 200,
      body: { received: 2, created: 2, updated: 0, unchanged: 0, rejected: 0, errors: [] },
    })
    const second = await send(ndjson(page('a', { text: 'new' }), page('b'), page('c')))
    expect(second.body).toMatchObject({ created: 1, updated: 1, unchanged: 1 })
    expect((await gateway.call(key, 'GET', `/api/wikis/${wiki}`)).body.page_count).toBe(3)
  })

  it('takes a JSON array of the same pages', async () => {
    expect((await send([page('a'), page('b')], '', 'application/json')).body).toMatchObject({ received: 2, created: 2 })
    expect(await send({ id: 1 }, '', 'application/json')).toMatchObject({
      status: 400,
      body: { code: 'malformed_json' },
    })
  })

  it('goes on after each bad line and names it', async () => {
    const bad = [page('a'), '{"id":1', page('', {}), { id: 'x', title: 't' }, 'null', page('b')]
    const bytes = Buffer.concat([
      Buffer.from(`${ndjson(...bad)}\n`),
      Buffer.from([0x22, 0xff, 0x22, 10]),
      Buffer.from(ndjson(page('c'))),
    ])
    const { status, body } = await send(bytes)
    expect([status, body.received, body.created, body.rejected]).toEqual([200, 8, 3, 5])
    expect(body.errors.map((e: { line: number; code: string }) => `${e.line} ${e.code}`)).toEqual([
      '2 invalid_json',
      '3 invalid_page',
      '4 invalid_page',
      '5 invalid_page',
      '7 invalid_utf8',
    ])
  })

  it('keeps pages of 5 MB, of no text, of other scripts, and with NUL characters', async () => {
    const long = 'word '.repeat(1_000_000)
    const { body } = await send(
      ndjson(
        page('long', { text: long }),
        page('empty', { title: '', text: '' }),
        page('日本/語', { text: 'عربي 🦆' }),
        page('nul', { text: 'a\0b' }),
      ),
    )
    expect(body).toMatchObject({ created: 4, rejected: 0, repaired: 1 })
    expect((await get('/pages/long')).body.text).toBe(long)
    expect((await get(`/pages/${encodeURIComponent('日本/語')}`)).body).toMatchObject({
      id: '日本/語',
      text: 'عربي 🦆',
    })
    expect((await get('/pages/nul')).body.text).toBe('ab')
  })

  it('of nothing is no error', async () => {
    expect((await send('')).body).toMatchObject({ received: 0, created: 0 })
  })

  it('that replaces deletes what it does not hold', async () => {
    await send(ndjson(page('a'), page('b'), page('c')))
    expect((await send(ndjson(page('b'), 'bad'), '?replace=true')).body).toMatchObject({
      deleted: 0,
      replace_skipped: expect.stringContaining('1 lines were rejected'),
    })
    expect((await send(ndjson(page('b')), '?replace=true')).body).toMatchObject({ unchanged: 1, deleted: 2 })
    expect((await get('/pages')).body.items.map((item: { id: string }) => item.id)).toEqual(['b'])
  })

  it('is refused compressed, of another type, and for no wiki', async () => {
    const refused = await gateway.call(key, 'POST', `/api/wikis/${wiki}/pages`, 'x', {
      'content-type': 'application/x-ndjson',
      'content-encoding': 'gzip',
    })
    expect(refused).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
    expect((await send('x', '', 'text/csv')).status).toBe(415)
    expect(
      (await gateway.call(key, 'POST', '/api/wikis/999999/pages', '', { 'content-type': 'application/x-ndjson' }))
        .status,
    ).toBe(404)
  })

  it('tells the workers when tags came with it', async () => {
    gateway.owed.length = 0
    await send(ndjson(page('a')))
    expect(gateway.owed).toEqual([])
    await send(ndjson(page('a', { tags: ['Gold'] })))
    expect(gateway.owed.map((message) => message.subject)).toEqual([`tagloom.v1.${wiki}.vocabulary.changed`])
  })

  it('that breaks off keeps what came whole, tells the workers of its tags, and deletes nothing', async () => {
    await send(ndjson(page('old')))
    if (!gateway.app.server.listening) await gateway.app.listen({ host: '127.0.0.1', port: 0 })
    const url = `${gateway.app.listeningOrigin}/api/wikis/${wiki}/pages?replace=true`
    const headers = { 'x-api-key': key, 'content-type': 'application/x-ndjson' }
    const sent = request(url, { method: 'POST', headers })
    sent.on('error', () => {})
    gateway.owed.length = 0
    const pages = Array.from({ length: 1000 }, (_, i) => page(`p${i}`, { tags: ['Gold'] }))
    sent.write(`${ndjson(...pages)}\n{"id":"half`)
    await expect.poll(async () => (await gateway.call(key, 'GET', `/api/wikis/${wiki}`)).body.page_count).toBe(1001)
    sent.destroy()
    const told = `tagloom.v1.${wiki}.vocabulary.changed`
    await expect.poll(() => gateway.owed.map((message) => message.subject)).toEqual([told])
    // The next replacing import may begin once the broken one is given up.
    await expect.poll(async () => (await send('', '?replace=true')).status).toBe(200)
    expect((await gateway.call(key, 'GET', `/api/wikis/${wiki}`)).body.page_count).toBe(1001)
  })

  it('that is refused in mid-body leaves its connection to the next request', async () => {
    if (!gateway.app.server.listening) await gateway.app.listen({ host: '127.0.0.1', port: 0 })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = (method: string, path: string, body = ''): Promise<{ code?: string; id?: number }> =>
      new Promise((resolve, reject) => {
        const headers = { 'x-api-key': key, 'content-type': 'application/json' }
        const signal = AbortSignal.timeout(10_000)
        const sent = request(`${gateway.app.listeningOrigin}${path}`, { method, headers, agent, signal }, (answer) =>
          json(answer).then(resolve as never, reject),
        )
        sent.on('error', reject)
        sent.end(body)
      })
    try {
      expect((await ask('POST', `/api/wikis/${wiki}/pages`, 'x'.repeat(4_000_000))).code).toBe('malformed_json')
      expect((await ask('GET', `/api/wikis/${wiki}`)).id).toBe(wiki)
    } finally {
      agent.destroy()
    }
  })

  it('of 200 MB takes little memory and keeps answering others', { timeout: 120_000 }, async () => {
    if (!gateway.app.server.listening) await gateway.app.listen({ host: '127.0.0.1', port: 0 })
    const at = gateway.app.listeningOrigin
    const text = 'word '.repeat(20_000)
    const lines = 2000
    let read = 0
    let highest = 0
    const body = new Readable({
      read() {
        if (read % 300 === 0) highest = Math.max(highest, inUse())
        this.push(read === lines ? null : `${JSON.stringify(page(`${read % 40}`, { text }))}\n`)
        read++
      },
    })
    const before = inUse()
    const importing = new Promise<{ received: number }>((resolve, reject) => {
      const headers = { 'x-api-key': key, 'content-type': 'application/x-ndjson' }
      const sent = request(`${at}/api/wikis/${wiki}/pages`, { method: 'POST', headers }, (answer) =>
        json(answer).then(resolve as never, reject),
      )
      pipeline(body, sent).catch(reject)
    })
    const slowest: number[] = []
    let done = false
    const others = (async () => {
      while (!done) {
        const started = performance.now()
        await (await fetch(`${at}/api/wikis?limit=1`, { headers: { 'x-api-key': key } })).json()
        slowest.push(performance.now() - started)
      }
    })()
    const report = await importing
    done = true
    await others
    expect(report.received).toBe(lines)
    expect((highest - before) / 2 ** 20).toBeLessThan(100)
    expect(slowest.length).toBeGreaterThan(10)
  })
})

describe('pages', () => {
  it('are listed by cursor, each once', async () => {
    await send(ndjson(...Array.from({ length: 25 }, (_, i) => page(`p${i}`))))
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body }: { body: { items: { id: string }[]; next_cursor: string | null } } = await get(
        `/pages?limit=10${cursor && `&cursor=${cursor}`}`,
      )
      seen.push(...body.items.map((item) => item.id))
      cursor = body.next_cursor
    }
    expect(seen.toSorted()).toEqual(Array.from({ length: 25 }, (_, i) => `p${i}`).toSorted())
  })

  it('carry their tags and where each came from', async () => {
    await send(ndjson(page('a', { tags: ['Gold'] }), page('b')))
    expect((await get('/pages/a')).body.tags).toEqual([
      {
        tag_id: expect.any(Number),
        label: 'Gold',
        confidence: null,
        origin: 'person',
        job_id: null,
        cluster_no: null,
        decided_by: 'import',
      },
    ])
    expect((await get('/pages?tag=gold')).body.items.map((item: { id: string }) => item.id)).toEqual(['a'])
    expect((await get('/pages?untagged=true')).body.items.map((item: { id: string }) => item.id)).toEqual(['b'])
    expect((await get('/tags')).body.items).toMatchObject([
      { label: 'Gold', status: 'approved', source: 'imported', page_count: 1 },
    ])
    expect((await get('/clusters')).body).toEqual({ items: [], next_cursor: null })
  })

  it('are deleted one by one', async () => {
    await send(ndjson(page('docs/a b.md')))
    const url = `/api/wikis/${wiki}/pages/${encodeURIComponent('docs/a b.md')}`
    expect((await gateway.call(key, 'DELETE', url)).status).toBe(204)
    expect(await gateway.call(key, 'DELETE', url)).toMatchObject({ status: 404, body: { code: 'page_not_found' } })
    expect((await gateway.call(key, 'GET', url)).status).toBe(404)
  })
})

describe('tags', () => {
  const decide = (body: object) => gateway.call(key, 'POST', `/api/wikis/${wiki}/decisions`, body)

  it('name the broader tag above each as it stands after what people decided, and how many are below', async () => {
    await send(ndjson(page('a', { tags: ['fine', 'broad', 'broader', 'other'] })))
    const parentOf = async (child: string, parent: string) =>
      db.pool.query(
        `update tags t set parent_id = p.id from tags p
         where t.wiki_id = $1 and p.wiki_id = $1 and t.label = $2 and p.label = $3`,
        [wiki, child, parent],
      )
    await parentOf('fine', 'broad')
    await parentOf('broad', 'broader')
    const tree = async () => {
      const { items } = (await get('/tags')).body
      for (const item of items) expect((await get(`/tags/${item.id}`)).body).toEqual(item)
      const lines = items.map((tag: { label: string; parent: { label: string } | null; child_count: number }) =>
        [tag.label, tag.parent?.label ?? '-', tag.child_count].join(' '),
      )
      return lines.toSorted()
    }
    expect(await tree()).toEqual(['broad broader 1', 'broader - 1', 'fine broad 0', 'other - 0'])
    const rejection = await decide({ kind: 'rejected', tag: 'broad' })
    expect(await tree()).toEqual(['broader - 1', 'fine broader 0', 'other - 0'])
    expect((await get('/tags?status=rejected')).body.items).toMatchObject([{ label: 'broad', parent: null }])
    await gateway.call(key, 'DELETE', rejection.headers.location)
    await decide({ kind: 'merged', tag: 'broad', into: 'other' })
    expect(await tree()).toEqual(['broader - 0', 'fine other 0', 'other - 1'])
    await decide({ kind: 'merged', tag: 'other', into: 'fine' })
    expect(await tree()).toEqual(['broader - 1', 'fine broader 0'])
  })

  it('are found by their id whatever their status, and of this wiki only', async () => {
    await send(ndjson(page('a', { tags: ['one'] })))
    const { id } = (await get('/tags')).body.items[0]
    await decide({ kind: 'rejected', tag: 'one' })
    expect((await get(`/tags/${id}`)).body).toMatchObject({ id, label: 'one', status: 'rejected', page_count: 0 })
    const elsewhere = await createTestWiki(db)
    expect(await gateway.call(key, 'GET', `/api/wikis/${elsewhere}/tags/${id}`)).toMatchObject({
      status: 404,
      body: { code: 'tag_not_found' },
    })
  })
})

describe('a decision', () => {
  const decide = (body: object) => gateway.call(key, 'POST', `/api/wikis/${wiki}/decisions`, body)
  const labels = async (id: string) => (await get(`/pages/${id}`)).body.tags.map((tag: { label: string }) => tag.label)

  it('is made, listed, and taken back', async () => {
    await send(ndjson(page('a')))
    gateway.owed.length = 0
    const made = await decide({ kind: 'added', page_id: 'a', tag: 'Mine' })
    expect(made).toMatchObject({
      status: 201,
      body: { kind: 'added', page_id: 'a', tag: 'Mine', decided_by: 'key write' },
    })
    expect(gateway.owed).toHaveLength(1)
    expect(await labels('a')).toEqual(['Mine'])
    expect((await get('/decisions')).body.items).toEqual([made.body])
    expect((await gateway.call(key, 'DELETE', made.headers.location)).status).toBe(204)
    expect((await gateway.call(key, 'DELETE', made.headers.location)).body.code).toBe('decision_not_found')
    expect(await labels('a')).toEqual([])
  })

  it('merges, rejects, approves and locks', async () => {
    await send(ndjson(page('a', { tags: ['one', 'two'] })))
    expect((await decide({ kind: 'merged', tag: 'one', into: 'two' })).body).toMatchObject({ tag: 'one', into: 'two' })
    expect(await labels('a')).toEqual(['two'])
    await decide({ kind: 'rejected', page_id: 'a', tag: 'two' })
    expect(await labels('a')).toEqual([])
    expect((await decide({ kind: 'approved', tag: 'one' })).status).toBe(201)
    expect((await decide({ kind: 'locked', page_id: 'a' })).status).toBe(201)
    expect((await get('/pages/a')).body.locked).toBe(true)
  })

  it('about a tag that is taken back leaves it as it was: of what came with pages approved', async () => {
    await send(ndjson(page('a', { tags: ['one', 'two'] })))
    for (const body of [
      { kind: 'rejected', tag: 'one' },
      { kind: 'approved', tag: 'one' },
      { kind: 'merged', tag: 'one', into: 'two' },
      { kind: 'rejected', tag: 'one', page_id: 'a' },
    ]) {
      const made = await decide(body)
      expect(made.status).toBe(201)
      expect((await gateway.call(key, 'DELETE', made.headers.location)).status).toBe(204)
      const { items } = (await get('/tags')).body
      expect(items.map((tag: { label: string; status: string }) => `${tag.label} ${tag.status}`)).toEqual([
        'one approved',
        'two approved',
      ])
      expect(await labels('a')).toEqual(['one', 'two'])
    }
  })

  it('to merge follows the target on, and is refused in a circle or into what is rejected', async () => {
    await send(ndjson(page('a', { tags: ['one', 'two', 'three', 'gone'] })))
    await decide({ kind: 'merged', tag: 'two', into: 'three' })
    expect((await decide({ kind: 'merged', tag: 'one', into: 'two' })).body).toMatchObject({ tag: 'one', into: 'two' })
    expect((await get('/tags?status=merged')).body.items).toMatchObject([
      { merged_into: 'three' },
      { merged_into: 'three' },
    ])
    expect(await decide({ kind: 'merged', tag: 'three', into: 'one' })).toMatchObject({
      status: 409,
      body: { code: 'tag_state_conflict', detail: expect.stringContaining('approve "one", first') },
    })
    await decide({ kind: 'rejected', tag: 'gone' })
    expect(await decide({ kind: 'merged', tag: 'three', into: 'gone' })).toMatchObject({
      status: 409,
      body: { code: 'tag_state_conflict', detail: '"gone" is rejected: approve it first' },
    })
    expect((await get('/tags?status=rejected')).body.items).toMatchObject([{ label: 'gone' }])
    expect((await get('/decisions?kind=merged')).body.items).toHaveLength(2)
  })

  it('that is changed is told like a new one, also twice in a request id of the caller', async () => {
    await send(ndjson(page('a', { tags: ['Gold'] })))
    gateway.owed.length = 0
    const headers = { 'x-request-id': 'the-same' }
    for (const kind of ['rejected', 'added', 'rejected']) {
      const body = { kind, page_id: 'a', tag: 'Gold' }
      expect((await gateway.call(key, 'POST', `/api/wikis/${wiki}/decisions`, body, headers)).status).toBe(201)
    }
    // The stream drops what it has seen lately by its message id.
    expect(new Set(gateway.owed.map((message) => message.messageId)).size).toBe(3)
  })

  it('to approve a label that the wiki does not have makes it part of the vocabulary', async () => {
    expect((await decide({ kind: 'approved', tag: 'Smart contracts' })).status).toBe(201)
    expect((await decide({ kind: 'approved', tag: 'smart contract' })).body.tag).toBe('Smart contracts')
    expect((await get('/tags')).body.items).toMatchObject([
      { label: 'Smart contracts', status: 'approved', source: 'human', page_count: 0 },
    ])
  })

  it('about what is not there, or of no known kind, is refused', async () => {
    await send(ndjson(page('a', { tags: ['one'] })))
    expect((await decide({ kind: 'added', page_id: 'none', tag: 'x' })).body.code).toBe('page_not_found')
    expect((await decide({ kind: 'rejected', page_id: 'a', tag: 'none' })).body.code).toBe('tag_not_found')
    expect((await decide({ kind: 'merged', tag: 'one', into: 'Ones' })).body.code).toBe('bad_request')
    expect((await decide({ kind: 'painted', tag: 'one' })).body.code).toBe('validation_failed')
  })
})
