import type { Bus, Followed } from '@tagloom/bus'
import type { LogEventName, Scope } from '@tagloom/contracts'
import { createApiKey, type Database } from '@tagloom/database'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { buildApp, type GatewayDeps } from './app.ts'
import { hashApiKey, newApiKey } from './auth/api-key.ts'
import { KnownKeys } from './auth/known-keys.ts'
import { committer } from './commit.ts'

export interface TestGateway {
  readonly app: FastifyInstance
  readonly deps: GatewayDeps
  readonly logged: { name: LogEventName; fields: Record<string, unknown> }[]
  /** Messages that went out */
  readonly published: { subject: string; messageId: string; body: string }[]
  /** A key with these scopes, for these wikis */
  key(scopes: Scope[], wikiIds?: number[]): Promise<string>
  /** A request by a key; the answer's JSON where it has one */
  call(
    key: string,
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  ): Promise<{ status: number; body: any; headers: Record<string, any> }>
}

/** A gateway before a real database. Without a bus its messages are kept in `published` and its streams stay silent. */
export async function openTestGateway(
  db: Database,
  more: Partial<GatewayDeps> & { readonly bus?: Pick<Bus, 'publish' | 'follow'> } = {},
): Promise<TestGateway> {
  const logged: TestGateway['logged'] = []
  const published: TestGateway['published'] = []
  const bus: Pick<Bus, 'publish' | 'follow'> = {
    publish: async (message) => {
      published.push(message)
      await more.bus?.publish(message)
    },
    follow: more.bus?.follow ?? silence,
  }
  const deps: GatewayDeps = {
    db,
    commit: committer(db, bus, () => {}),
    keys: new KnownKeys(db),
    log: { event: (name, fields) => void logged.push({ name, fields }) },
    version: '0.0.0',
    batchInsertSize: 100,
    rateLimitPerMinute: 0,
    trustProxy: '',
    ...more,
    bus,
  }
  const app = await buildApp(deps)
  return {
    app,
    deps,
    logged,
    published,
    async key(scopes, wikiIds) {
      const key = newApiKey()
      await createApiKey(db, { name: `key ${scopes}`, hash: hashApiKey(key), scopes, wikiIds: wikiIds ?? null })
      return key
    },
    async call(key, method, url, body, headers) {
      const options: InjectOptions = { method, url, headers: { ...(key && { 'x-api-key': key }), ...headers } }
      if (body !== undefined) options.payload = body as object
      const answer = await app.inject(options)
      const json = /json/.test(String(answer.headers['content-type'] ?? ''))
      return { status: answer.statusCode, headers: answer.headers, body: json ? answer.json() : answer.body }
    },
  }
}

async function* silence({ signal }: { signal: AbortSignal }): AsyncGenerator<Followed> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
}
