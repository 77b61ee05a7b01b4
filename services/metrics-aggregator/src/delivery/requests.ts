import type { AlertEvent, AlertRow } from '@tagloom/database'
import { Webhook } from 'standardwebhooks'
import type { Receiver } from './receivers.ts'

/** What a try sends. */
export interface OutgoingRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Told {
  readonly alert: AlertRow
  readonly event: AlertEvent
  /** The same for every try */
  readonly key: string
  /** When the alert came into this state: the same for every try */
  readonly at: Date
}

/** Alertmanager has no word for an acknowledgement. */
const wantsEvent = (receiver: Receiver, event: AlertEvent): boolean =>
  receiver.type !== 'alertmanager' || event !== 'acknowledged'

export function wantsAlert(receiver: Receiver, alert: AlertRow, event: AlertEvent): boolean {
  return (
    wantsEvent(receiver, event) &&
    (receiver.severities?.includes(alert.severity) ?? true) &&
    (receiver.wikis?.includes(alert.wikiId) ?? true)
  )
}

/** Whether an answer says that the receiver has the alert. A proxy that answers 200 with a page of its own is not PagerDuty. */
export function isTaken(receiver: Receiver, status: number): boolean {
  switch (receiver.type) {
    case 'webhook':
      return status >= 200 && status < 300
    case 'pagerduty':
      return status === 202
    case 'alertmanager':
      return status === 200
  }
}

export function requestFor(receiver: Receiver, told: Told, now: Date): OutgoingRequest {
  switch (receiver.type) {
    case 'webhook':
      return webhook(receiver, told, now)
    case 'pagerduty':
      return pagerDuty(receiver, told)
    case 'alertmanager':
      return alertmanager(receiver, told, now)
  }
}

const json = { 'content-type': 'application/json', 'user-agent': 'tagloom' }

/**
 * Standard Webhooks: id is the delivery key, so that a receiver knows a repeat; the signature is made anew for each try. While a secret is
 * replaced there are two, and a receiver that knows either of them verifies one.
 */
function webhook(receiver: Extract<Receiver, { type: 'webhook' }>, told: Told, now: Date): OutgoingRequest {
  const body = JSON.stringify({
    type: `alert.${told.event}`,
    timestamp: told.at.toISOString(),
    data: factsOf(told.alert),
  })
  const secrets = [receiver.secret, ...(receiver.previous_secret ? [receiver.previous_secret] : [])]
  const signature = secrets.map((secret) => new Webhook(secret).sign(told.key, now, body)).join(' ')
  const timestamp = String(Math.floor(now.getTime() / 1000))
  return {
    url: receiver.url,
    headers: { ...json, 'webhook-id': told.key, 'webhook-timestamp': timestamp, 'webhook-signature': signature },
    body,
  }
}

function factsOf(alert: AlertRow) {
  return {
    alert_id: alert.id,
    wiki_id: alert.wikiId,
    rule: alert.rule,
    severity: alert.severity,
    state: alert.state,
    metric: alert.metric,
    value: alert.value,
    threshold: alert.threshold,
    message: alert.message,
    action: alert.action,
    runbook: alert.runbook,
    job_id: alert.lastJobId,
    first_job_id: alert.firstJobId,
  }
}

const pagerDutyUrl = 'https://events.pagerduty.com/v2/enqueue'
const pagerDutyActions = { raised: 'trigger', acknowledged: 'acknowledge', resolved: 'resolve' } as const

/** PagerDuty Events API v2: the dedup_key is the alert's, so that its three events meet in one incident. */
function pagerDuty(receiver: Extract<Receiver, { type: 'pagerduty' }>, told: Told): OutgoingRequest {
  const { alert } = told
  const event = {
    routing_key: receiver.routing_key,
    event_action: pagerDutyActions[told.event],
    dedup_key: `tagloom.alert.${alert.id}`,
    client: 'Tagloom',
    payload: {
      summary: `Wiki ${alert.wikiId}: ${alert.message}`.slice(0, 1024),
      source: `wiki-${alert.wikiId}`,
      severity: alert.severity,
      timestamp: told.at.toISOString(),
      component: 'tagloom',
      group: `wiki-${alert.wikiId}`,
      class: alert.rule,
      custom_details: factsOf(alert),
    },
    ...(alert.runbook?.startsWith('http') ? { links: [{ href: alert.runbook, text: 'Runbook' }] } : {}),
  }
  return { url: receiver.url ?? pagerDutyUrl, headers: json, body: JSON.stringify(event) }
}

/** Without an end Alertmanager would resolve an alert by itself after five minutes. Each repeat moves it on. */
const alertmanagerEndsAfterMs = 365 * 86_400_000

type Alertmanager = Extract<Receiver, { type: 'alertmanager' }>

const alertmanager = (receiver: Alertmanager, { alert, event, at }: Told, now: Date): OutgoingRequest =>
  toAlertmanager(receiver, [alertmanagerAlert(alert, event === 'resolved' ? at : undefined, now)])

/** What the receiver is to hold, said again: the same alerts with the same labels and start. */
export const repeatRequest = (receiver: Alertmanager, held: readonly AlertRow[], now: Date): OutgoingRequest =>
  toAlertmanager(
    receiver,
    held.map((alert) => alertmanagerAlert(alert, alert.resolvedAt ?? undefined, now)),
  )

function alertmanagerAlert(alert: AlertRow, resolvedAt: Date | undefined, now: Date) {
  const ends = resolvedAt ?? new Date(now.getTime() + alertmanagerEndsAfterMs)
  return {
    labels: {
      alertname: alert.rule,
      severity: alert.severity,
      wiki_id: String(alert.wikiId),
      alert_id: String(alert.id),
      service: 'tagloom',
    },
    annotations: {
      summary: alert.message,
      description: alert.action,
      ...(alert.runbook ? { runbook_url: alert.runbook } : {}),
    },
    startsAt: (alert.raisedAt ?? alert.createdAt).toISOString(),
    endsAt: ends.toISOString(),
  }
}

function toAlertmanager(receiver: Alertmanager, alerts: readonly object[]): OutgoingRequest {
  return {
    url: `${receiver.url.replace(/\/+$/, '')}/api/v2/alerts`,
    headers: { ...json, ...(receiver.bearer_token ? { authorization: `Bearer ${receiver.bearer_token}` } : {}) },
    body: JSON.stringify(alerts),
  }
}
