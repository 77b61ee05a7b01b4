import { createHmac } from 'node:crypto'
import type { AlertRow } from '@tagloom/database'
import { describe, expect, it } from 'vitest'
import { giveUpAfterMs, nextDelayMs, retryAfterMs } from './backoff.ts'
import { parseReceivers } from './receivers.ts'
import { repeatRequest, requestFor, wantsAlert } from './requests.ts'
import { isPublicAddress, send } from './send.ts'

const alert: AlertRow = {
  id: 7,
  wikiId: 42,
  rule: 'silhouette-low',
  severity: 'warning',
  state: 'firing',
  metric: 'silhouette_score',
  value: 0.1,
  threshold: 0.2,
  message: 'Clusters overlap',
  action: 'Raise min_cluster_size',
  runbook: 'https://example.org/runbook#silhouette-low',
  runsCrossed: 1,
  runsClear: 0,
  firstJobId: 'a',
  lastJobId: 'b',
  open: true,
  raisedAt: new Date('2026-01-24T10:00:00Z'),
  createdAt: new Date('2026-01-24T10:00:00Z'),
  updatedAt: new Date('2026-01-24T10:00:00Z'),
  resolvedAt: null,
}
const at = new Date('2026-01-24T10:00:01Z')
const now = new Date('2026-01-24T10:05:00Z')
const told = { alert, event: 'raised', key: 'alert.7.raised.hook', at } as const
const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`

describe('requests to receivers', () => {
  it('signs a webhook as Standard Webhooks asks: HMAC-SHA256 of id.timestamp.body', () => {
    const request = requestFor({ name: 'hook', type: 'webhook', url: 'https://example.org/h', secret }, told, now)
    const timestamp = String(now.getTime() / 1000)
    const expected = createHmac('sha256', '0123456789abcdef0123456789abcdef')
      .update(`alert.7.raised.hook.${timestamp}.${request.body}`)
      .digest('base64')
    expect(request.headers).toMatchObject({
      'webhook-id': 'alert.7.raised.hook',
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${expected}`,
    })
    expect(JSON.parse(request.body)).toMatchObject({
      type: 'alert.raised',
      timestamp: at.toISOString(),
      data: { alert_id: 7, wiki_id: 42, rule: 'silhouette-low', runbook: alert.runbook },
    })
  })

  it('signs with both secrets while one is replaced, so that who knows either verifies', () => {
    const next = `whsec_${Buffer.from('fedcba9876543210fedcba9876543210').toString('base64')}`
    const hook = { name: 'hook', type: 'webhook', url: 'https://example.org/h', secret: next, previous_secret: secret }
    const [receiver] = parseReceivers(JSON.stringify([hook]))
    const { headers, body } = requestFor(receiver!, told, now)
    const signedWith = (key: string) =>
      `v1,${createHmac('sha256', key)
        .update(`${told.key}.${now.getTime() / 1000}.${body}`)
        .digest('base64')}`
    expect(headers['webhook-signature']).toBe(
      `${signedWith('fedcba9876543210fedcba9876543210')} ${signedWith('0123456789abcdef0123456789abcdef')}`,
    )
  })

  it("gives PagerDuty's three events one dedup_key", () => {
    const events = (['raised', 'acknowledged', 'resolved'] as const).map((event) =>
      JSON.parse(requestFor({ name: 'pd', type: 'pagerduty', routing_key: 'R' }, { ...told, event }, now).body),
    )
    expect(events.map((event) => event.event_action)).toEqual(['trigger', 'acknowledge', 'resolve'])
    expect(new Set(events.map((event) => event.dedup_key))).toEqual(new Set(['tagloom.alert.7']))
    expect(events[0].payload).toMatchObject({ severity: 'warning', source: 'wiki-42', class: 'silhouette-low' })
  })

  it('gives Alertmanager an end that lies far ahead until the alert is resolved', () => {
    const receiver = { name: 'am', type: 'alertmanager', url: 'http://am:9093/' } as const
    const [raised] = JSON.parse(requestFor(receiver, told, now).body)
    const request = requestFor(receiver, { ...told, event: 'resolved' }, now)
    expect(request.url).toBe('http://am:9093/api/v2/alerts')
    expect(raised.labels).toEqual({
      alertname: 'silhouette-low',
      severity: 'warning',
      wiki_id: '42',
      alert_id: '7',
      service: 'tagloom',
    })
    expect(Date.parse(raised.endsAt)).toBeGreaterThan(now.getTime() + 86_400_000)
    const late = new Date(alert.createdAt.getTime() + 400 * 86_400_000)
    const [repeated] = JSON.parse(repeatRequest(receiver, [alert], late).body)
    expect(Date.parse(repeated.endsAt)).toBeGreaterThan(late.getTime() + 86_400_000)
    expect(JSON.parse(request.body)[0]).toMatchObject({ endsAt: at.toISOString(), labels: raised.labels })
  })

  it('tells a receiver only of the severities and wikis that it is for', () => {
    const receiver = { name: 'pd', type: 'pagerduty', routing_key: 'R', severities: ['critical' as const] } as const
    expect(wantsAlert({ ...receiver, severities: ['critical'] }, alert, 'raised')).toBe(false)
    expect(wantsAlert({ ...receiver, severities: ['warning'], wikis: [42] }, alert, 'raised')).toBe(true)
    expect(wantsAlert({ ...receiver, severities: ['warning'], wikis: [1] }, alert, 'raised')).toBe(false)
    expect(wantsAlert({ name: 'am', type: 'alertmanager', url: 'http://am' }, alert, 'acknowledged')).toBe(false)
  })
})

describe('ALERT_RECEIVERS', () => {
  it('reads receivers of every type', () => {
    const receivers = [
      { name: 'hook', type: 'webhook', url: 'https://example.org/h', secret },
      { name: 'pd', type: 'pagerduty', routing_key: 'R', severities: ['critical'] },
      { name: 'am', type: 'alertmanager', url: 'http://am:9093' },
    ]
    expect(parseReceivers(JSON.stringify(receivers))).toEqual(receivers)
    expect(parseReceivers(' ')).toEqual([])
  })

  it('says where each mistake is, without repeating a secret', () => {
    const text = JSON.stringify([
      { name: 'hook', type: 'webhook', url: 'https://example.org/h', secret: 'hunter2' },
      { name: 'hook', type: 'email' },
      { name: 'x', type: 'alertmanager', url: 'http://me:hunter2@am' },
    ])
    const message = (() => {
      try {
        parseReceivers(text)
      } catch (error) {
        return (error as Error).message
      }
      return ''
    })()
    expect(message).toContain('/0/secret')
    expect(message).toContain('/1/type: expected webhook, pagerduty or alertmanager')
    expect(message).toContain('/1/name: expected a name used once')
    expect(message).toContain('/2/url: expected no user name or password')
    expect(message).not.toContain('hunter2')
    expect(() => parseReceivers('{')).toThrow('expected a JSON array of receivers')
  })
})

describe('backoff', () => {
  it('doubles to a quarter of an hour and ends after a day', () => {
    let age = 0
    const delays: number[] = []
    for (let attempt = 1; ; attempt++) {
      const delay = nextDelayMs(attempt, age, undefined, 0)
      if (delay === undefined) break
      delays.push(delay)
      age += delay
    }
    expect(delays.slice(0, 4)).toEqual([2_000, 4_000, 8_000, 16_000])
    expect(Math.max(...delays)).toBe(900_000)
    expect(age).toBeGreaterThan(giveUpAfterMs - 900_000)
    expect(delays.length).toBeLessThan(200)
  })

  it('waits as long as a receiver asks, an hour at most', () => {
    expect(nextDelayMs(1, 0, retryAfterMs('120', now), 0)).toBe(120_000)
    expect(nextDelayMs(1, 0, retryAfterMs('999999', now), 0)).toBe(3_600_000)
    expect(retryAfterMs(new Date(now.getTime() + 9_000).toUTCString(), now)).toBe(9_000)
    expect(retryAfterMs('soon', now)).toBeUndefined()
  })
})

describe('the guard of addresses', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'nonsense',
  ])('refuses %s', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each(['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'])('takes %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  it.each([
    'http://127.0.0.1:1/',
    'http://[::1]:1/',
    'http://localhost:1/',
    'http://2130706433:1/',
    'http://0x7f.1:1/',
  ])('sends nothing to %s', async (url) => {
    const sent = await send({ url, headers: {}, body: '{}' }, { timeoutMs: 2_000, allowPrivate: false })
    expect(sent).toMatchObject({ refused: true })
  })
})
