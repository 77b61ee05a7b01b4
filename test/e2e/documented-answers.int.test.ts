import { startTestSystem, type TestSystem } from '@tagloom/launcher/testing'
import { Compile } from 'typebox/schema'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

/** Each operation that /docs/json declares, called against the running system: what comes is what is declared. */

interface Operation {
  readonly method: string
  readonly path: string
  readonly responses: Record<string, { content?: Record<string, { schema?: object }> }>
}
interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers of forty shapes, each checked against its schema
  readonly body: any
}

let system: TestSystem
let schemas: Record<string, object>
let operations: Map<string, Operation>
const called = new Set<string>()
beforeAll(async () => {
  system = await startTestSystem()
  // A gateway on a busy machine says 503 for a while, and when to come again.
  const found = await vi.waitUntil(
    async () => {
      const response = await fetch(`${system.client.base}/docs/json`)
      return response.status === 200 && response
    },
    { timeout: 30_000, interval: 500 },
  )
  const document = (await found.json()) as {
    paths: Record<string, Record<string, Operation & { operationId: string }>>
    components: { schemas: Record<string, object> }
  }
  schemas = document.components.schemas
  operations = new Map(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId, responses }]) => [operationId, { method, path, responses }]),
    ),
  )
}, 90_000)
afterAll(() => system?.stop())

/** The schema with every reference to components/schemas in its place. */
function inlined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inlined)
  if (typeof value !== 'object' || value === null) return value
  const { $ref } = value as { $ref?: string }
  if ($ref) return inlined(schemas[$ref.split('/').at(-1)!])
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inlined(each)]))
}

function operation(id: string): Operation {
  const found = operations.get(id)
  if (!found) throw new Error(`expected one of ${[...operations.keys()]}, got ${id}`)
  return found
}

async function send(id: string, url: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
  const answer = await sendOnce(id, url, body, headers)
  if (answer.status !== 503) return answer
  return vi.waitUntil(
    async () => {
      const again = await sendOnce(id, url, body, headers)
      return again.status !== 503 && again
    },
    { timeout: 30_000, interval: 500 },
  )
}

async function sendOnce(id: string, url: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
  const { method, responses } = operation(id)
  const response = await fetch(`${system.client.base}${url}`, {
    method: method.toUpperCase(),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  })
  const text = await response.text()
  const family = `${Math.floor(response.status / 100)}XX`
  const declared = responses[response.status] ?? responses[family]
  expect(declared, `${id} answers ${response.status}: ${text.slice(0, 300)}`).toBeDefined()
  if (response.status === 204) {
    expect(text).toBe('')
    return { status: 204, body: undefined }
  }
  const type = response.headers.get('content-type')!.split(';')[0]!
  const content = declared!.content?.[type]
  expect(content, `${id} answers ${response.status} with ${type}`).toBeDefined()
  if (!type.endsWith('json')) return { status: response.status, body: text }
  const answer = JSON.parse(text) as unknown
  const [, errors] = Compile(inlined(content!.schema) as object).Errors(answer)
  expect(errors, `${id} ${response.status}: ${text.slice(0, 300)}`).toEqual([])
  return { status: response.status, body: answer }
}

/** @param values of the path's parameters; what the path has no place for goes into the query */
function call(id: string, values: Record<string, string | number> = {}, body?: unknown, headers = {}): Promise<Answer> {
  const query = new URLSearchParams()
  let url = operation(id).path
  for (const [name, value] of Object.entries(values)) {
    const place = `{${name}}`
    if (url.includes(place)) url = url.replace(place, encodeURIComponent(value))
    else query.set(name, String(value))
  }
  called.add(id)
  return send(id, `${url}?${query}`, body, { authorization: `Bearer ${system.client.key}`, ...headers })
}

async function ok(id: string, values?: Record<string, string | number>, body?: unknown, headers = {}) {
  const answer = await call(id, values, body, headers)
  expect(answer.status, `${id}: ${JSON.stringify(answer.body)}`).toBeLessThan(300)
  return answer.body
}

const ended = (job_id: string) =>
  vi.waitUntil(
    async () => {
      const job = await ok('getJob', { job_id })
      return ['completed', 'failed', 'cancelled'].includes(job.status) && job
    },
    { timeout: 90_000, interval: 200 },
  )
const judged = (job_id: string) =>
  vi.waitUntil(async () => (await ok('getJobMetrics', { job_id })).live === false, { timeout: 60_000, interval: 200 })

const subjects = ['sourdough flour oven crust', 'telescope galaxy nebula orbit', 'income tax audit budget']
const pages = Array.from({ length: 60 }, (_, k) => {
  const words = subjects[k % 3]!.split(' ')
  return { id: `a/${k}?ü`, title: `On ${words[k % 4]} ${k}`, text: `About ${words.join(', ')}, and number ${k}.` }
})
const rule = {
  rule: 'any-cluster',
  enabled: true,
  metric: 'cluster_count',
  measure: 'value',
  comparison: 'above',
  firing: 0,
  clearing: 0,
  runs_before_firing: 1,
  runs_before_clearing: 1,
  severity: 'info',
  message: '{value} clusters',
  action: 'Nothing: this is a test.',
}

test('every operation answers as it is declared, in the order in which a client would call them', {
  timeout: 300_000,
}, async () => {
  const { id: wiki_id } = await ok('createWiki', {}, { name: 'documented' })
  const wiki = { wiki_id }
  await ok('listWikis', { limit: 1 })
  await ok('importPages', wiki, pages)
  await ok('putAlertRules', wiki, { rules: [rule] })
  await ok('getAlertRules', wiki)
  await ok('previewAlertRule', wiki, { rule })
  const first = await ok('createJob', wiki, {}, { 'idempotency-key': 'once' })
  expect((await ok('createJob', wiki, {}, { 'idempotency-key': 'once' })).id).toBe(first.id)
  expect(await ok('followJob', { job_id: first.id })).toContain('event: ended')
  expect(await ended(first.id)).toMatchObject({ status: 'completed' })
  await judged(first.id)
  expect(await ok('getWiki', wiki)).toMatchObject({ page_count: 60, current_job_id: first.id })
  await ok('listPages', { ...wiki, limit: 5 })
  await ok('getPage', { ...wiki, page_id: pages[0]!.id })
  await ok('listClusters', wiki)
  const { items: tags } = await ok('listTags', wiki)
  for (const tag of tags) {
    expect(await ok('getTag', { ...wiki, tag_id: tag.id })).toEqual(tag)
    if (tag.parent) expect(tags.find(({ id }: { id: number }) => id === tag.parent.id)?.label).toBe(tag.parent.label)
  }
  const decision = await ok('decide', wiki, { kind: 'added', page_id: pages[0]!.id, tag: tags[0].label })
  await ok('listDecisions', wiki)
  await ok('revokeDecision', { ...wiki, decision_id: decision.id })
  await ok('importPages', wiki, [{ id: 'new', title: 'On flour', text: 'Sourdough, flour, oven and crust.' }])
  const assignment = await ok('assignPages', wiki, {})
  await vi.waitUntil(
    async () =>
      ['completed', 'failed'].includes((await ok('getAssignment', { ...wiki, assignment_id: assignment.id })).status),
    { timeout: 60_000, interval: 200 },
  )
  await ok('getDrift', wiki)
  await ok('deletePage', { ...wiki, page_id: 'new' })

  const second = await ok('createJob', wiki)
  await ended(second.id)
  await judged(second.id)
  await ok('listJobs', wiki)
  await ok('compareRuns', { job_id: first.id, other_id: second.id })
  await ok('setBaseline', wiki, { job_id: first.id })
  await ok('getClusterMetrics', wiki)
  await ok('listRuns', wiki)
  for (const accept of ['text/csv', 'application/x-ndjson']) await ok('listRuns', wiki, undefined, { accept })
  await ok('getTrends', wiki)
  const { items: alerts } = await ok('listAlerts', wiki)
  const alert = { alert_id: alerts[0].id }
  await ok('getAlert', alert)
  await ok('acknowledgeAlert', alert, {})
  const ends_at = new Date(Date.now() + 3_600_000).toISOString()
  const silence = await ok('createSilence', wiki, { reason: 'a test', ends_at })
  await ok('listSilences', wiki)
  await ok('endSilence', { ...wiki, silence_id: silence.id })
  await ok('deleteAlertRules', wiki)

  const third = await ok('createJob', wiki)
  const cancelled = await call('cancelJob', { job_id: third.id }, { reason: 'a test' })
  if (cancelled.status < 300) await ok('retryJob', { job_id: third.id })
  else await call('retryJob', { job_id: third.id })
  await ended(third.id)
  const key = await ok('createApiKey', {}, { name: 'documented', scopes: ['read'] })
  await ok('listApiKeys')
  await ok('revokeApiKey', { key_id: key.id })
  expect([...operations.keys()].filter((id) => !called.has(id))).toEqual([])
})

test('every operation refuses what it does not know, and nobody at all, with a problem as declared', async () => {
  for (const [id, { path }] of operations) {
    const url = path.replace(/\{\w+\}/g, '999999')
    expect(await send(id, url, undefined, {})).toMatchObject({ status: 401, body: { code: 'api_key_missing' } })
    const known = { authorization: `Bearer ${system.client.key}` }
    if (!path.includes('{')) continue
    const { status } = await send(id, url, undefined, known)
    expect([id, status]).toEqual([id, expect.toSatisfy((code: number) => code >= 400 && code < 500)])
  }
})
