import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Validator } from '@seriousme/openapi-schema-validator'
import { problemCodes } from '@tagloom/contracts'
import { type Database, openDatabase } from '@tagloom/database'
import { createTestWiki } from '@tagloom/database/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestGateway, type TestGateway } from './testing.ts'

let db: Database
let gateway: TestGateway
let admin: string
beforeAll(async () => {
  gateway = await openTestGateway()
  db = gateway.deps.db
  admin = await gateway.key(['admin'])
})
afterAll(() => gateway.close())

interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly url: string
}
async function operations(): Promise<Operation[]> {
  const { paths } = (await gateway.app.inject('/docs/json')).json() as { paths: Record<string, object> }
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => ({
      method: method.toUpperCase() as Operation['method'],
      url: path.replace(/\{\w+\}/g, '1'),
    })),
  )
}

describe('the documentation', () => {
  it('is valid OpenAPI 3.1 and names every operation and schema once', async () => {
    const document = (await gateway.app.inject('/docs/json')).json()
    const outcome = await new Validator().validate(document)
    expect(outcome.errors).toBeUndefined()
    expect(document.openapi).toBe('3.1.0')
    const ids = Object.values(document.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
      (item) => Object.values(item).map((operation) => operation.operationId),
    )
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)
    expect(Object.keys(document.components.schemas)).toEqual(
      expect.arrayContaining(['Wiki', 'Page', 'Job', 'Cluster', 'Tag', 'Decision', 'ClusterMetrics', 'Problem']),
    )
  })

  it('is a page that needs no key', async () => {
    const answer = await gateway.app.inject('/docs/')
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-security-policy']).toMatch(/^default-src 'none'.*connect-src 'self'/)
    expect(answer.headers['content-security-policy']).not.toContain('upgrade-insecure-requests')
  })
})

describe('a key', () => {
  it('is needed by every operation', async () => {
    const all = await operations()
    expect(all.length).toBeGreaterThan(15)
    for (const { method, url } of all) {
      const { status, body, headers } = await gateway.call('', method, url)
      expect([method, url, status, body.code]).toEqual([method, url, 401, 'api_key_missing'])
      expect(headers['www-authenticate']).toBe('Bearer realm="tagloom"')
    }
  })

  it('that is unknown or revoked is refused', async () => {
    expect((await gateway.call('tl_wrong', 'GET', '/api/wikis')).body.code).toBe('api_key_invalid')
    const { body } = await gateway.call(admin, 'POST', '/api/keys', { name: 'short-lived', scopes: ['read'] })
    const bearer = { authorization: `Bearer ${body.key}` }
    expect((await gateway.call('', 'GET', '/api/wikis', undefined, bearer)).status).toBe(200)
    expect((await gateway.call(admin, 'DELETE', `/api/keys/${body.id}`)).status).toBe(204)
    expect((await gateway.call('', 'GET', '/api/wikis', undefined, bearer)).status).toBe(401)
    const { items } = (await gateway.call(admin, 'GET', '/api/keys')).body
    expect(JSON.stringify(items)).not.toContain(body.key)
    expect(items.at(-1)).toMatchObject({ name: 'short-lived', revoked_at: expect.any(String) })
  })

  it('reaches no further than its scope', async () => {
    const read = await gateway.key(['read'])
    expect((await gateway.call(read, 'GET', '/api/wikis')).status).toBe(200)
    expect(await gateway.call(read, 'POST', '/api/wikis', { name: 'x' })).toMatchObject({
      status: 403,
      body: { code: 'scope_missing', detail: 'This needs the scope write; the key has read' },
    })
    expect((await gateway.call(await gateway.key(['write']), 'GET', '/api/keys')).status).toBe(403)
  })

  it('reaches no further than its wikis, and does not learn which others there are', async () => {
    const [mine, other] = [await createTestWiki(db), await createTestWiki(db)]
    const key = await gateway.key(['admin'], [mine])
    const status = async (url: string, method: 'GET' | 'POST' = 'GET', body?: unknown) =>
      (await gateway.call(key, method, url, body)).status
    expect(await status(`/api/wikis/${mine}`)).toBe(200)
    expect(await status(`/api/wikis/${other}`)).toBe(403)
    expect(await status('/api/wikis/999999')).toBe(403)
    expect(await status(`/api/tags/cluster-metrics/${other}`)).toBe(403)
    expect(await status(`/api/jobs?wiki_id=${other}`)).toBe(403)
    expect(await status('/api/keys')).toBe(403)
    expect(await status('/api/wikis', 'POST', { name: 'another' })).toBe(403)
    expect((await gateway.call(key, 'GET', '/api/wikis')).body.items.map((wiki: { id: number }) => wiki.id)).toEqual([
      mine,
    ])
  })
})

describe('a problem', () => {
  it.each([
    ['GET', '/api/wikis?limit=0', undefined, 400, 'validation_failed', /query\/limit/],
    ['GET', '/api/wikis/1/clusters?layer=2147483648', undefined, 400, 'validation_failed', /query\/layer/],
    ['GET', '/api/wikis?nonsense=1', undefined, 400, 'validation_failed', /query/],
    ['GET', '/api/wikis/abc', undefined, 400, 'validation_failed', /params\/wiki_id/],
    ['POST', '/api/wikis', { name: 5 }, 400, 'validation_failed', /body\/name must be string/],
    ['POST', '/api/wikis', { name: 'x', more: 1 }, 400, 'validation_failed', /body/],
    ['GET', '/api/wikis?cursor=xyz', undefined, 400, 'invalid_cursor', /next_cursor/],
    ['GET', '/api/wikis?name=a%00b', undefined, 400, 'validation_failed', /query\/name holds the character U\+0000/],
    ['GET', '/api/jobs/a%00b', undefined, 400, 'validation_failed', /params\/job_id holds/],
    ['POST', '/api/wikis', { name: '\0' }, 400, 'validation_failed', /body\/name holds/],
    ['GET', '/api/wikis/999999', undefined, 404, 'wiki_not_found', /no wiki 999999/],
    ['GET', '/api/wikis/999999/pages', undefined, 404, 'wiki_not_found', /no wiki/],
    ['GET', '/api/tags/cluster-metrics/999999', undefined, 404, 'wiki_not_found', /no wiki/],
    ['GET', '/api/jobs/none', undefined, 404, 'job_not_found', /no job none/],
    ['DELETE', '/api/keys/999999', undefined, 404, 'api_key_not_found', /no API key/],
    [
      'POST',
      '/api/keys',
      { name: 'import', scopes: ['read'] },
      400,
      'bad_request',
      /"import" is what the pipeline calls/,
    ],
    ['POST', '/api/keys', { name: ' Tagloom', scopes: ['read'] }, 400, 'bad_request', /expected another name/],
    ['POST', '/api/keys', { name: 'TAGLOOM_API_KEY', scopes: ['read'] }, 400, 'bad_request', /expected another name/],
    ['GET', '/nowhere', undefined, 404, 'route_not_found', /\/docs/],
    ['GET', '/api/wikis/%ff', undefined, 400, 'bad_request', /url/i],
  ] as const)('%s %s %j is %d %s', async (method, url, body, status, code, detail) => {
    const answer = await gateway.call(admin, method, url, body)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(answer).toMatchObject({
      status,
      body: { status, code, detail: expect.stringMatching(detail), type: `urn:tagloom:problem:${code}` },
    })
    expect(answer.body.title).toBe(problemCodes[code].title)
    expect(answer.body.request_id).toBe(answer.headers['x-request-id'])
  })

  it('names a body that is no JSON, of another type, or too large', async () => {
    const post = (body: string, type: string) =>
      gateway.call(admin, 'POST', '/api/wikis', body, { 'content-type': type })
    expect((await post('{"name":', 'application/json')).body).toMatchObject({ status: 400, code: 'malformed_json' })
    expect((await post('', 'application/json')).body).toMatchObject({ status: 400, code: 'malformed_json' })
    expect((await post('<x/>', 'text/xml')).body).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    const large = JSON.stringify({ name: 'x'.repeat(1024 * 1024) })
    expect((await post(large, 'application/json')).body).toMatchObject({ status: 413, code: 'payload_too_large' })
  })

  it('answers also what is no HTTP, or has headers without end', async () => {
    await gateway.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = gateway.app.server.address() as AddressInfo
    const send = async (bytes: string) => {
      const socket = connect(port, '127.0.0.1')
      socket.write(bytes)
      const answer = await text(socket)
      return [answer.split('\r\n', 1)[0], JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).code]
    }
    expect(await send('nonsense\r\n\r\n')).toEqual(['HTTP/1.1 400 The request cannot be understood', 'bad_request'])
    expect((await send(`GET / HTTP/1.1\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`))[1]).toBe('headers_too_large')
  })

  it('says when to come again after too many requests', async () => {
    const limited = await openTestGateway({ RATE_LIMIT_PER_MINUTE: '2', TAGLOOM_API_KEY: 'of-the-environment' })
    const ask = () => limited.call('of-the-environment', 'GET', '/api/wikis')
    expect([(await ask()).status, (await ask()).status]).toEqual([200, 200])
    expect(await ask()).toMatchObject({
      status: 429,
      body: { code: 'rate_limited' },
      headers: { 'retry-after': expect.anything() },
    })
    expect(limited.deps.log.of('request_refused')).toMatchObject([{ status: 429, code: 'rate_limited' }])
    await limited.close()
  })

  it('is 503 when the database is away, and tells nothing of it', async () => {
    const cut = await openTestGateway()
    await cut.app.ready()
    const away = openDatabase({ url: 'postgres://nobody:secret@127.0.0.1:1/none' })
    cut.deps.db.orm.select = away.orm.select.bind(away.orm) as never
    const { status, body, headers } = await cut.call('tl_any', 'GET', '/api/wikis')
    expect([status, body.code, headers['retry-after']]).toEqual([503, 'unavailable', '5'])
    expect(JSON.stringify(body)).not.toMatch(/ECONNREFUSED|127\.0\.0\.1|secret/)
    expect(cut.deps.log.of('request_failed')).toMatchObject([{ status: 503, code: 'unavailable' }])
    await cut.close()
    await away.close()
  })

  it('of ours is 500 without its reason, which the log has', async () => {
    const cut = await openTestGateway()
    await cut.app.ready()
    cut.deps.db.orm.select = () => {
      throw new Error('inner secret')
    }
    const { status, body } = await cut.call('tl_any', 'GET', '/api/wikis')
    expect([status, body.code]).toEqual([500, 'internal_error'])
    expect(JSON.stringify(body)).not.toContain('secret')
    expect(cut.deps.log.of('request_failed')).toMatchObject([{ reason: 'inner secret' }])
    await cut.close()
  })
})

describe('a request', () => {
  it("keeps the caller's id and trace, and gets its own where those are unfit", async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const given = await gateway.call(admin, 'GET', '/api/wikis', undefined, { 'x-request-id': 'mine-1', traceparent })
    expect(given.headers['x-request-id']).toBe('mine-1')
    const trace_id = '0af7651916cd43dd8448eb211c80319c'
    const { log } = gateway.deps
    expect(log.of('read_completed').at(-1)).toMatchObject({
      request_id: 'mine-1',
      trace_id,
      route: '/api/wikis',
      status: 200,
    })
    const unfit = await gateway.call(admin, 'GET', '/api/wikis', undefined, {
      'x-request-id': 'two words',
      traceparent: 'x',
    })
    expect(unfit.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(log.of('read_completed').at(-1)?.trace_id).toMatch(/^[0-9a-f]{32}$/)
  })

  it('has a line at INFO where it changes something or is wrong, and at DEBUG where it reads', async () => {
    const { log } = gateway.deps
    const linesOf = async (method: 'GET' | 'POST', url: string, body?: unknown) => {
      const before = log.lines.length
      await gateway.call(admin, method, url, body)
      return log.lines.slice(before).map(({ event, level, status }) => [event, level, status])
    }
    expect(await linesOf('GET', '/api/wikis')).toEqual([['read_completed', 'DEBUG', 200]])
    expect(await linesOf('GET', '/api/wikis/999999')).toEqual([['request_completed', 'INFO', 404]])
    expect(await linesOf('POST', '/api/wikis', { name: 'logged' })).toEqual([['request_completed', 'INFO', 201]])
  })

  it.each(['/api/wikis', '/api/wikis/999999', '/nowhere'])(
    'is answered as data that no page may use: %s',
    async (url) => {
      const { headers } = await gateway.call(admin, 'GET', url)
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      })
      expect(headers).not.toHaveProperty('strict-transport-security')
    },
  )
})

it.each([1.5, -1, 9e18, 1e300, '\0', 'x', null])(
  'a list refuses the made-up cursor %j, whatever it lists',
  async (value) => {
    const wiki = await createTestWiki(db)
    const { paths } = (await gateway.app.inject('/docs/json')).json() as { paths: Record<string, { get?: Operation }> }
    const lists = Object.entries(paths).filter(([, { get }]) => JSON.stringify(get ?? '').includes('"cursor"'))
    expect(lists.length).toBeGreaterThan(8)
    for (const [path] of lists)
      for (const position of [[value], [value, value], [1, value]]) {
        const cursor = Buffer.from(JSON.stringify(position)).toString('base64url')
        const url = `${path.replace('{wiki_id}', String(wiki))}?cursor=${cursor}`
        const { status } = await gateway.call(admin, 'GET', url)
        expect([url, status]).toEqual([url, expect.toSatisfy((code: number) => code < 500)])
      }
  },
)

describe('wikis', () => {
  it('are made once, listed by cursor and found by name', async () => {
    const made = await gateway.call(admin, 'POST', '/api/wikis', { name: 'Ünique' })
    expect(made).toMatchObject({ status: 201, body: { name: 'Ünique', page_count: 0, current_job_id: null } })
    expect(made.headers.location).toBe(`/api/wikis/${made.body.id}`)
    expect((await gateway.call(admin, 'GET', made.headers.location)).body).toEqual(made.body)
    expect(await gateway.call(admin, 'POST', '/api/wikis', { name: 'Ünique' })).toMatchObject({
      status: 409,
      body: { code: 'wiki_exists' },
    })
    expect((await gateway.call(admin, 'GET', `/api/wikis?name=${encodeURIComponent('Ünique')}`)).body.items).toEqual([
      made.body,
    ])
    const seen: number[] = []
    let cursor = ''
    do {
      const { body } = await gateway.call(admin, 'GET', `/api/wikis?limit=1${cursor && `&cursor=${cursor}`}`)
      seen.push(...body.items.map((wiki: { id: number }) => wiki.id))
      cursor = body.next_cursor ?? ''
    } while (cursor)
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b))
    expect(seen).toContain(made.body.id)
  })

  it('before their first job have no record', async () => {
    const wiki = await createTestWiki(db)
    expect((await gateway.call(admin, 'GET', `/api/tags/cluster-metrics/${wiki}`)).body).toMatchObject({
      wiki_id: wiki,
      latest_clustering: null,
      historical_trend: { avg_duration_seconds: null, avg_cluster_count: null, avg_quality_score: null },
    })
  })
})
