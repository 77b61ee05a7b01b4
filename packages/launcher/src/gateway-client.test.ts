import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GatewayClient, type JobNews } from './gateway-client.ts'

const never = new AbortController().signal

describe('GatewayClient', () => {
  let server: Server
  let client: GatewayClient
  let requests: IncomingMessage[]
  let answer: (request: IncomingMessage, response: ServerResponse) => void

  beforeEach(async () => {
    requests = []
    server = createServer((request, response) => {
      requests.push(request)
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    client = new GatewayClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'the-key')
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  const json = (response: ServerResponse, status: number, body: unknown): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

  it('sends the key, and makes the wiki only where there is none of the name', async () => {
    const known: { id: number }[] = []
    answer = (request, response) => {
      if (request.method === 'GET') return json(response, 200, { items: known, next_cursor: null })
      known.push({ id: 7 })
      json(response, 201, known[0])
    }
    expect(await client.wikiNamed('a b', never)).toMatchObject({ id: 7 })
    expect(await client.wikiNamed('a b', never)).toMatchObject({ id: 7 })
    expect(requests.map((request) => `${request.method} ${request.url}`)).toEqual([
      'GET /api/wikis?name=a%20b',
      'POST /api/wikis',
      'GET /api/wikis?name=a%20b',
    ])
    expect(requests[0]!.headers.authorization).toBe('Bearer the-key')
  })

  it('tells a refusal by its code and detail', async () => {
    answer = (_, response) => json(response, 409, { code: 'wiki_empty', detail: 'the wiki has no pages' })
    await expect(client.createJob(1, never)).rejects.toMatchObject({
      code: 'wiki_empty',
      status: 409,
      message: expect.stringContaining('the wiki has no pages'),
    })
  })

  it('asks again while the gateway is busy, an import from its beginning, a job under the same key', async () => {
    const bodies: string[] = []
    answer = async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      bodies.push(body)
      if (bodies.length % 2 === 1) return json(response, 503, { code: 'unavailable', detail: 'overloaded' })
      json(response, 200, { id: 'j' })
    }
    async function* lines(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"id":"1"}\n')
    }
    await client.importPages(3, lines, { replace: true, signal: never })
    await client.createJob(3, never)
    expect(bodies).toEqual(['{"id":"1"}\n', '{"id":"1"}\n', '{}', '{}'])
    const keys = requests.slice(2).map((request) => request.headers['idempotency-key'])
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(keys[1]).toBe(keys[0])
  })

  it('sends an import as it comes', async () => {
    let received = ''
    answer = (request, response) => {
      request.on('data', (chunk) => {
        received += chunk
      })
      request.on('end', () => json(response, 200, { received: 2 }))
    }
    async function* lines(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"id":"1"}\n')
      yield Buffer.from('{"id":"2"}\n')
    }
    expect(await client.importPages(3, lines, { replace: true, signal: never })).toEqual({ received: 2 })
    expect(received).toBe('{"id":"1"}\n{"id":"2"}\n')
    expect(requests[0]!.url).toBe('/api/wikis/3/pages?replace=true')
    expect(requests[0]!.headers['content-type']).toBe('application/x-ndjson')
  })

  it('takes broken events up again after the last one it saw, until the job has ended', async () => {
    const streams = [
      ': heartbeat\n\nevent: snapshot\nid: 1\ndata: {"id":"j",\ndata: "status":"running"}\n\n',
      'event: progress\r\nid: 2\r\ndata: {"stage":"embed","done":1,"total":2}\r\n\r\n',
      'event: ended\nid: 3\ndata: {"id":"j","status":"completed"}\n\n',
    ]
    answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(streams[requests.length - 1])
    }
    const news: JobNews[] = []
    for await (const one of client.jobNews('j', never)) news.push(one)
    expect(news.map((one) => one.kind)).toEqual(['snapshot', 'progress', 'ended'])
    expect(requests.map((request) => request.headers['last-event-id'])).toEqual([undefined, '1', '2'])
  })

  it('reads every part of the list of clusters', async () => {
    answer = (request, response) =>
      json(
        response,
        200,
        request.url!.includes('cursor=next') ? { items: [2], next_cursor: null } : { items: [1], next_cursor: 'next' },
      )
    expect(await client.clusters(1, never)).toEqual([1, 2])
  })
})
