import type { OutgoingMessage, Scope } from '@tagloom/contracts'
import { createApiKey } from '@tagloom/database'
import type { Relay } from '@tagloom/service-kit'
import { openTestDeps, type TestDeps } from '@tagloom/service-kit/testing'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { buildApp } from './app.ts'
import { hashApiKey, newApiKey } from './auth/api-key.ts'
import { environment } from './config.ts'

export interface TestGateway {
  readonly app: FastifyInstance
  readonly deps: TestDeps<typeof environment>
  /** Messages that were owed to the bus */
  readonly owed: OutgoingMessage[]
  /** A key with these scopes, for these wikis */
  key(scopes: Scope[], wikiIds?: number[]): Promise<string>
  /** A request by a key; the answer's JSON where it has one */
  call(
    key: string,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  ): Promise<{ status: number; body: any; headers: Record<string, any> }>
  close(): Promise<void>
}

/** A gateway before a database and streams of the test file's own; its watchdog sleeps unless the variables say otherwise. */
export async function openTestGateway(variables: Record<string, string> = {}): Promise<TestGateway> {
  const quiet = { RATE_LIMIT_PER_MINUTE: '0', WATCHDOG_INTERVAL_SECONDS: '3600' }
  const opened = await openTestDeps('gateway', environment, { ...quiet, ...variables })
  const owed: OutgoingMessage[] = []
  const relay: Relay = {
    ...opened.relay,
    commit: (work) =>
      opened.relay.commit((tx, owe) =>
        work(tx, (...messages) => {
          owed.push(...messages)
          owe(...messages)
        }),
      ),
  }
  const deps = { ...opened, relay }
  const app = await buildApp(deps)
  return {
    app,
    deps,
    owed,
    async key(scopes, wikiIds) {
      const key = newApiKey()
      await createApiKey(opened.db, { name: `key ${scopes}`, hash: hashApiKey(key), scopes, wikiIds: wikiIds ?? null })
      return key
    },
    async call(key, method, url, body, headers) {
      const options: InjectOptions = { method, url, headers: { ...(key && { 'x-api-key': key }), ...headers } }
      if (body !== undefined) options.payload = body as object
      const answer = await app.inject(options)
      const json = /[/+]json/.test(String(answer.headers['content-type'] ?? ''))
      return { status: answer.statusCode, headers: answer.headers, body: json ? answer.json() : answer.body }
    },
    async close() {
      await app.close()
      await opened.close()
    },
  }
}
