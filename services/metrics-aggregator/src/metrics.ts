import { metricList } from '@tagloom/contracts'
import { countAlerts, type Database, readDeliveryLag, readLastRuns } from '@tagloom/database'
import { Counter, Gauge, type Registry, readingForScrapes } from '@tagloom/service-kit'

/** Tries at a run's record that failed by the run's own figures */
export const recordFailuresIn = (registry: Registry): Counter<'outcome'> =>
  new Counter({
    name: 'tagloom_record_failures_total',
    help: 'Run records that could not be made or stored: to be tried again (retried), or not any more (given_up)',
    labelNames: ['outcome'],
    registers: [registry],
  })

/** A scrape asks the database at most once in so long. */
const freshForMs = 5_000

/**
 * What Prometheus sees of runs and alerts: the last run's figures by wiki and metric, of a bounded number of wikis and without job ids
 * (both would make series without end); alerts by state and severity; what receivers are owed. While the database is away they stay as
 * they were last read, so that no alert on them flaps.
 */
export function exposeRuns(registry: Registry, db: Database, wikis: number): void {
  const registers = [registry]
  // Every gauge waits for the one reading: a gauge that did not would show what the scrape before had read.
  const collect = readingForScrapes(() => read(), {
    freshForMs,
    onOutcome: (done) => up.set(done ? 1 : 0),
  })
  const figures = new Gauge({
    name: 'tagloom_run_figure',
    help: "A metric of a wiki's last run; docs/metrics.md says what each means",
    labelNames: ['wiki_id', 'group', 'metric', 'unit'],
    registers,
    collect,
  })
  const completed = new Gauge({
    name: 'tagloom_run_completed_timestamp_seconds',
    help: "When a wiki's last recorded run was completed",
    labelNames: ['wiki_id'],
    registers,
    collect,
  })
  const alerts = new Gauge({
    name: 'tagloom_alerts',
    help: 'Alerts by state; resolved ones of the last day',
    labelNames: ['state', 'severity'],
    registers,
    collect,
  })
  const due = new Gauge({
    name: 'tagloom_alert_deliveries_due',
    help: 'Deliveries that a receiver has not taken yet',
    labelNames: ['receiver'],
    registers,
    collect,
  })
  const lag = new Gauge({
    name: 'tagloom_alert_delivery_lag_seconds',
    help: 'Age of the oldest delivery that a receiver has not taken yet',
    labelNames: ['receiver'],
    registers,
    collect,
  })
  const collected = new Gauge({
    name: 'tagloom_run_figures_collected_timestamp_seconds',
    help: 'When the figures of runs and alerts were last read',
    registers,
    collect,
  })
  const up = new Gauge({
    name: 'tagloom_run_figures_up',
    help: 'Whether the figures of runs and alerts could be read: 0 while the database does not answer, and they are as last read',
    registers,
    collect,
  })
  const read = async (): Promise<void> => {
    const [runs, states, owed] = await Promise.all([readLastRuns(db, wikis), countAlerts(db), readDeliveryLag(db)])
    for (const gauge of [figures, completed, alerts, due, lag]) gauge.reset()
    for (const run of runs) {
      const wiki_id = String(run.wikiId)
      completed.set({ wiki_id }, run.at.getTime() / 1000)
      for (const { name, group, unit } of metricList) {
        const value = run.figures[name]
        if (typeof value === 'number') figures.set({ wiki_id, group, metric: name, unit }, value)
      }
    }
    for (const { state, severity, count } of states) alerts.set({ state, severity }, count)
    for (const row of owed) {
      due.set({ receiver: row.receiver }, row.due)
      lag.set({ receiver: row.receiver }, row.oldestSeconds)
    }
    collected.set(Date.now() / 1000)
  }
}
