import { createHmac, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Receiver } from './receivers.ts'

/*
 * A receiver of alerts that speaks its protocol as the real one does and, for tests, misbehaves in a way of choice, one way a connection.
 * It checks whatever reaches it, also what it then refuses, and keeps what it took.
 */

const webhookSecret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`
const routingKey = 'r0123456789abcdef0123456789abcde'

export type Way = (response: ServerResponse, request: IncomingMessage, of: MisbehavingReceiver) => void

const answers =
  (status: number, headers: Record<string, string> = {}, body = ''): Way =>
  (response) =>
    void response.writeHead(status, headers).end(body)

/** Every way, with what the log of deliveries is to say of it. */
export const ways: Record<string, readonly [result: RegExp, way: Way]> = {
  'never answers': [/^no answer within \d+ ms$/, () => {}],
  'answers a byte a second': [/^no answer within \d+ ms$/, (_, request) => trickle(request.socket)],
  'closes midway': [
    /^could not be reached: ECONNRESET$/,
    (_, { socket }) => void socket.write('HTTP/1.1 200 O', () => socket.destroy()),
  ],
  'closes at once': [/^could not be reached: ECONNRESET$/, (_, { socket }) => void socket.destroy()],
  'error 500': [/^HTTP 500$/, answers(500, {}, 'broken')],
  'error 503 with a date in Retry-After': [
    /^HTTP 503$/,
    (response) => void response.writeHead(503, { 'retry-after': new Date(Date.now() + 121_000).toUTCString() }).end(),
  ],
  'error 429 with Retry-After': [/^HTTP 429$/, answers(429, { 'retry-after': '120' })],
  'error 404': [/^HTTP 404$/, answers(404, { 'content-type': 'text/html' }, '<html><h1>Not found</h1></html>')],
  'redirects to a private address': [
    /^HTTP 307$/,
    (response, _, { trap }) => void response.writeHead(307, { location: trap }).end(),
  ],
  'answers what is no HTTP': [
    /^could not be reached: HPE_INVALID_CONSTANT$/,
    (_, { socket }) => void socket.end('220 mail.example.org ESMTP\r\n\r\n'),
  ],
  'answers headers without end': [
    /^could not be reached: HPE_HEADER_OVERFLOW$/,
    (_, { socket }) => void socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(200_000)}`),
  ],
  'answers an error without end': [
    /^HTTP 500$/,
    (response, _, receiver) => {
      response.writeHead(500)
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536))) receiver.poured += 65_536
      }
      response.on('drain', more)
      more()
    },
  ],
}

function trickle(socket: Socket): void {
  const text = 'HTTP/1.1 200 OK\r\n\r\n'
  let at = 0
  const timer = setInterval(() => socket.write(text[at++ % text.length] as string), 1_000)
  socket.on('close', () => clearInterval(timer))
}

export type Protocol = Receiver['type']

export interface Taken {
  /** What is the same for every try of one delivery, and for PagerDuty for every event of one alert */
  readonly key: string
  readonly event: 'raised' | 'acknowledged' | 'resolved'
}

export class MisbehavingReceiver {
  /** Ways of the next connections; without any it is as it should be */
  readonly next: Way[] = []
  /** What was taken, in order */
  readonly taken: Taken[] = []
  /** What did not follow the protocol: a signature, a field … */
  readonly refused: string[] = []
  /** Keys of whatever came, taken or not */
  readonly came: string[] = []
  /** What an Alertmanager holds: end of each alert by its labels. Gone with a restart. */
  readonly held = new Map<string, Date>()
  /** Address that nothing is to be sent to, and how often that was done */
  trap = ''
  trapped = 0
  poured = 0
  readonly #protocol: Protocol
  readonly #servers: readonly { close(): unknown }[]
  readonly #sockets = new Set<Socket>()
  readonly #door: ReturnType<typeof createServer>
  port = 0

  /** @param tls key and certificate, for https */
  constructor(protocol: Protocol, tls?: { readonly key: string; readonly cert: string }) {
    this.#protocol = protocol
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response)
    const inner = tls ? createHttps(tls, handle) : createHttp(handle)
    // A sender that gives up in the handshake is a test's business, not this process's.
    inner.on('tlsClientError', () => {})
    this.#door = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
      inner.emit('connection', socket)
    })
    const trap = createHttp((_, response) => {
      this.trapped++
      response.end()
    })
    this.#servers = [trap, inner]
    trap.listen(0, '127.0.0.1', () => {
      this.trap = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/`
    })
    this.url = ''
    this.#scheme = tls ? 'https' : 'http'
  }
  readonly #scheme: string
  url: string

  /** Begins to listen: at first at any port, later at the same again. */
  async open(): Promise<void> {
    this.#door.listen(this.port, '127.0.0.1')
    await once(this.#door, 'listening')
    this.port = (this.#door.address() as AddressInfo).port
    this.url = `${this.#scheme}://localhost:${this.port}`
  }

  /** Connections are refused from now on; those that are open are cut. What it held in memory is gone. */
  async shut(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.held.clear()
    await new Promise((resolve) => this.#door.close(resolve))
  }

  async close(): Promise<void> {
    if (this.#door.listening) await this.shut()
    for (const server of this.#servers) server.close()
  }

  /** What ALERT_RECEIVERS says of it. */
  settings(): Receiver {
    switch (this.#protocol) {
      case 'webhook':
        return { name: 'receiver', type: 'webhook', url: `${this.url}/hooks`, secret: webhookSecret }
      case 'pagerduty':
        return { name: 'receiver', type: 'pagerduty', url: `${this.url}/v2/enqueue`, routing_key: routingKey }
      case 'alertmanager':
        return { name: 'receiver', type: 'alertmanager', url: this.url }
    }
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString()
    const way = this.next.shift()
    try {
      const taken = read[this.#protocol](request, body)
      this.came.push(...taken.map(({ key }) => key))
      if (way) return way(response, request, this)
      this.taken.push(...taken)
      if (this.#protocol === 'alertmanager')
        for (const { labels, endsAt } of JSON.parse(body)) this.held.set(JSON.stringify(labels), new Date(endsAt))
    } catch (error) {
      this.refused.push((error as Error).message)
      response.writeHead(400).end(JSON.stringify({ status: 'invalid event', errors: [(error as Error).message] }))
      return
    }
    const [status, answer] = success[this.#protocol]
    response.writeHead(status, { 'content-type': 'application/json' }).end(answer)
  }
}

const success: Record<Protocol, readonly [status: number, body: string]> = {
  webhook: [204, ''],
  pagerduty: [202, '{"status":"success","message":"Event processed"}'],
  alertmanager: [200, ''],
}

/** Reads a request as the real receiver would. @throws what is wrong with it */
const read: Record<Protocol, (request: IncomingMessage, body: string) => Taken[]> = {
  webhook(request, body) {
    expectPost(request, '/hooks')
    const id = header(request, 'webhook-id')
    const timestamp = header(request, 'webhook-timestamp')
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) throw new Error(`timestamp ${timestamp} is not of now`)
    const key = Buffer.from(webhookSecret.slice('whsec_'.length), 'base64')
    const signed = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest()
    const given = header(request, 'webhook-signature')
      .split(' ')
      .filter((signature) => signature.startsWith('v1,'))
      .map((signature) => Buffer.from(signature.slice(3), 'base64'))
    if (!given.some((one) => one.length === signed.length && timingSafeEqual(one, signed)))
      throw new Error('no signature verifies')
    const { type } = JSON.parse(body) as { type: string }
    return [{ key: id, event: type.replace('alert.', '') as Taken['event'] }]
  },

  // https://developer.pagerduty.com/docs/send-alert-event
  pagerduty(request, body) {
    expectPost(request, '/v2/enqueue')
    const event = JSON.parse(body)
    if (event.routing_key !== routingKey) throw new Error('routing_key is invalid')
    const actions: Record<string, Taken['event']> = {
      trigger: 'raised',
      acknowledge: 'acknowledged',
      resolve: 'resolved',
    }
    const action = actions[event.event_action]
    if (!action) throw new Error(`event_action ${event.event_action} is invalid`)
    if (typeof event.dedup_key !== 'string' || event.dedup_key.length > 255) throw new Error('dedup_key is invalid')
    const { summary, source, severity } = event.payload ?? {}
    if (typeof summary !== 'string' || summary.length > 1024) throw new Error('payload.summary is invalid')
    if (typeof source !== 'string') throw new Error('payload.source is missing')
    if (!['critical', 'error', 'warning', 'info'].includes(severity)) throw new Error('payload.severity is invalid')
    return [{ key: event.dedup_key, event: action }]
  },

  // https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
  alertmanager(request, body) {
    expectPost(request, '/api/v2/alerts')
    const alerts = JSON.parse(body) as { labels: Record<string, string>; startsAt: string; endsAt: string }[]
    if (!Array.isArray(alerts)) throw new Error('expected an array of alerts')
    return alerts.map(({ labels, startsAt, endsAt }) => {
      if (!labels?.alertname) throw new Error('labels.alertname is missing')
      for (const [name, value] of Object.entries(labels))
        if (!/^[A-Za-z_]\w*$/.test(name) || typeof value !== 'string') throw new Error(`label ${name} is invalid`)
      if (!(Date.parse(endsAt) > Date.parse(startsAt))) throw new Error('endsAt must be after startsAt')
      return { key: JSON.stringify(labels), event: Date.parse(endsAt) > Date.now() ? 'raised' : 'resolved' }
    })
  },
}

function expectPost(request: IncomingMessage, path: string): void {
  if (request.method !== 'POST' || request.url !== path)
    throw new Error(`${request.method} ${request.url} is not known`)
  if (request.headers['content-type'] !== 'application/json') throw new Error('expected application/json')
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  if (typeof value !== 'string') throw new Error(`header ${name} is missing`)
  return value
}
