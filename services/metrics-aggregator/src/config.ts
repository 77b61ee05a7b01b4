import type { ConfigOf } from '@tagloom/service-kit'
import Type from 'typebox'

/** Variables of this service, beside those that every service reads. */
export const environment = {
  REDIS_URL: Type.String({
    default: '',
    pattern: '^(rediss?://.+)?$',
    description: 'Keep live run records in this Redis rather than in NATS, e.g. redis://127.0.0.1:6379',
  }),
  RECORD_GRACE_SECONDS: Type.Integer({
    default: 120,
    minimum: 0,
    description:
      'How long a completed job waits for samples that are on their way before its record is judged without them',
  }),
  METRICS_RETENTION_DAYS: Type.Integer({
    default: 365,
    minimum: 1,
    description:
      "Samples, records and resolved alerts older than this are removed; a wiki's last record and its baseline stay",
  }),
  METRICS_RETENTION_RUNS: Type.Integer({
    default: 10_000,
    minimum: 0,
    description: 'Most records of one wiki; 0 for any number',
  }),
  METRICS_EXPOSED_WIKIS: Type.Integer({
    default: 50,
    minimum: 0,
    maximum: 1000,
    description: 'Wikis whose last run is shown to Prometheus, the most recent first: bounds the number of series',
  }),
  ALERT_RECEIVERS: Type.String({
    default: '',
    description: 'JSON array of receivers: webhook, pagerduty, alertmanager (docs/monitoring.md)',
  }),
  ALERT_ALLOW_PRIVATE_ADDRESSES: Type.Boolean({
    default: false,
    description: 'Whether receivers may be at loopback, private and link-local addresses',
  }),
  RUNBOOK_BASE_URL: Type.String({
    default: '',
    description: 'Address that the runbooks of alert rules are relative to, e.g. https://example.org/tagloom/',
  }),
  ALERT_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 100,
    maximum: 60_000,
    description: 'Most time for one try',
  }),
}
export type Config = ConfigOf<typeof environment>
