import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { connect } from '@nats-io/transport-node'
import { events, toMessage } from '@tagloom/contracts'
import { testPrefix, useServers } from '@tagloom/local-servers/testing'
import { afterEach, expect, test } from 'vitest'
import { connectBus } from './index.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Speaks just enough of the protocol to say what it is. */
async function serverThatIs(info: object): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(`INFO ${JSON.stringify({ server_id: 'x', max_payload: 1 << 20, proto: 1, ...info })}\r\n`)
    socket.on('data', (data) => {
      if (data.includes('PING')) socket.write('PONG\r\n')
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `nats://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a server that is too old is refused, with what was expected', async () => {
  const url = await serverThatIs({ version: '2.9.25', jetstream: true })
  await expect(connectBus({ url, name: 'test' })).rejects.toMatchObject({
    code: 'too_old',
    message: `nats-server 2.9.25 at ${url} is too old: expected 2.11 or later`,
  })
})

test('a server without JetStream is refused, with what to do', async () => {
  const url = await serverThatIs({ version: '2.12.0' })
  await expect(connectBus({ url, name: 'test' })).rejects.toThrow(/runs without JetStream: start it with -js/)
})

test('no password is in an error', async () => {
  const failed = connectBus({ url: 'nats://tagloom:s3cret@127.0.0.1:1', name: 'test', connectTimeoutMs: 100 })
  await expect(failed).rejects.toThrow(/cannot be reached at nats:\/\/127\.0\.0\.1:1/)
  await expect(failed).rejects.not.toThrow(/s3cret/)
})

test('many processes may start at once', async () => {
  const { natsUrl: url } = await useServers()
  const prefix = testPrefix()
  const all = await Promise.all(Array.from({ length: 8 }, (_, i) => connectBus({ url, name: `test ${i}`, prefix })))
  const options = { events: [events.embedBatch], durable: 'same', concurrency: 1 }
  const consumptions = await Promise.all(all.map((bus) => bus.consume(options, async () => {})))
  expect(await all[0]?.backlog()).toHaveLength(1)
  await Promise.all(consumptions.map((consumption) => consumption.stop()))
  await Promise.all(all.map((bus) => bus.close()))
})

test('a plain client sees structured CloudEvents with the trace context in their headers', async () => {
  const { natsUrl: url } = await useServers()
  const prefix = testPrefix()
  const [plain, bus] = await Promise.all([connect({ servers: url }), connectBus({ url, name: 'test', prefix })])
  const subscription = plain.subscribe(`${prefix}.tagloom.v1.>`, { max: 1 })
  await plain.flush()
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  await bus.publish(
    toMessage(events.jobCancelled, { wiki_id: 7, job_id: 'j', reason: 'r' }, { source: 'gateway', traceparent }),
  )
  for await (const message of subscription) {
    expect(message.subject).toBe(`${prefix}.tagloom.v1.7.job.cancelled`)
    expect(message.headers?.get('content-type')).toBe('application/cloudevents+json')
    expect(message.headers?.get('traceparent')).toBe(traceparent)
    expect(message.json()).toMatchObject({ specversion: '1.0', type: 'io.tagloom.job.cancelled.v1', traceparent })
  }
  await Promise.all([plain.close(), bus.close()])
})
