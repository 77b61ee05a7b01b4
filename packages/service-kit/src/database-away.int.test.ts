import { Registry } from '@prometheus-io/client'
import { openTestBus } from '@tagloom/bus/testing'
import { events, toMessage } from '@tagloom/contracts'
import { createWiki, isInInbox, listWikis, migrate, openDatabase } from '@tagloom/database'
import { startPrivatePostgres } from '@tagloom/local-servers/testing'
import Fastify from 'fastify'
import { expect, it, vi } from 'vitest'
import { consumeEvents, handleOnce, on } from './index.ts'
import { createRelay } from './relay.ts'
import { readConfig } from './run-service.ts'
import { captureLog } from './testing.ts'

it('a message in hand when PostgreSQL goes away is held, and saved once when it is back', async () => {
  const log = captureLog('clusterer')
  const [server, bus] = await Promise.all([startPrivatePostgres(), openTestBus({ log })])
  await migrate(server.url)
  const db = openDatabase({ url: server.url, connectTimeoutMs: 1_000 })
  const relay = createRelay({ db, bus, log, sweepEveryMs: 100, owedForMs: 200 })
  const config = readConfig({}, { DATABASE_URL: server.url, NATS_URL: bus.url })
  const deps = { name: 'clusterer', config, log, db, bus, relay, registry: new Registry(), stillStarting() {} } as const
  const ids = { wiki_id: 1, job_id: 'cluster_wiki_1_away' }
  const deliveries: number[] = []
  let emitted = 0
  const app = Fastify()
  consumeEvents(app, deps, [
    on(events.pagesEmbedded, { failsJob: false }, async (message, own) => {
      deliveries.push(message.deliveryCount)
      await handleOnce(own, message, async () => {
        if (deliveries.length === 1) await server.stop()
        return async (tx, owe) => {
          await createWiki(tx, `result ${deliveries.length}`)
          owe(toMessage(events.clustersFormed, { ...ids, clusters: 1, layers: 1, outliers: 0 }, own.context))
        }
      })
    }),
    on(events.clustersFormed, { failsJob: false }, async () => void emitted++),
  ])
  await app.ready()
  await bus.publish(
    toMessage(events.pagesEmbedded, { ...ids, pages: 1, embedded: 1, model: 'm' }, { source: 'tagger' }),
  )
  await vi.waitFor(() => expect(log.of('database_error').length).toBeGreaterThan(0), 20_000)
  await server.start()
  await vi.waitFor(() => expect(emitted).toBe(1), 30_000)
  expect(await listWikis(db, { limit: 10 })).toHaveLength(1)
  expect(new Set(deliveries)).toEqual(new Set([1]))
  expect(await isInInbox(db, 'clusterer-pages-embedded', `${ids.job_id}.pages-embedded`)).toBe(true)
  await app.close()
  await relay.stop()
  await Promise.all([db.close(), bus.close()])
  await server.stop()
}, 120_000)
