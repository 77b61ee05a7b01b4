import { type Database, tallyCurrentRuns } from '@tagloom/database'
import { driftOf } from '@tagloom/kernels'
import { Counter, Gauge, Histogram, type Registry, readingForScrapes } from '@tagloom/service-kit'

export interface ClusteringMetrics {
  clustered(pages: number, seconds: number): void
}

/** What Prometheus sees of clustering. */
export function measureClustering(registry: Registry): ClusteringMetrics {
  const registers = [registry]
  const seconds = new Histogram({
    name: 'tagloom_clustering_seconds',
    help: 'Time from vectors to layers',
    buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300],
    registers,
  })
  const pages = new Histogram({
    name: 'tagloom_clustering_pages',
    help: 'Pages of each clustering',
    buckets: [10, 100, 1_000, 10_000, 100_000],
    registers,
  })
  return {
    clustered(count, took) {
      pages.observe(count)
      seconds.observe(took)
    },
  }
}

export interface AssignmentMetrics {
  assigned(outcome: string): void
}

/** Series of drift: the wikis that had an assignment last. */
const mostWikis = 200
/** A scrape asks the database at most once in so long. */
const freshForMs = 5_000

/** What Prometheus sees of assignments. Drift is read from the database, so that every replica tells the same. */
export function measureAssignments(registry: Registry, db: Database): AssignmentMetrics {
  const registers = [registry]
  const pages = new Counter({
    name: 'tagloom_pages_assigned_total',
    help: 'Pages of assignments by outcome: assigned, left_out, without_text',
    labelNames: ['outcome'],
    registers,
  })
  // Both gauges wait for the one reading: one that did not would show what the scrape before had read.
  const collect = readingForScrapes(() => read(), { freshForMs, onOutcome: (done) => done || forget() })
  const due = new Gauge({
    name: 'tagloom_rerun_due',
    help: "1 where the pages since the wiki's current run no longer fit its topics",
    labelNames: ['wiki_id'],
    registers,
    collect,
  })
  const drifts = new Gauge({
    name: 'tagloom_assignment_drift',
    help: "Share of the pages since the wiki's current run that no topic took, over the share expected; 1 is like the run",
    labelNames: ['wiki_id'],
    registers,
    collect,
  })
  const forget = () => {
    due.reset()
    drifts.reset()
  }
  const read = async () => {
    const tallies = await tallyCurrentRuns(db, mostWikis)
    forget()
    for (const { wikiId, pages: count, leftOut, expectedShare } of tallies) {
      const { drift, rerunDue } = driftOf({ pages: count, leftOut, expectedShare: expectedShare ?? 0 })
      if (drift === null) continue
      drifts.set({ wiki_id: String(wikiId) }, drift)
      due.set({ wiki_id: String(wikiId) }, rerunDue ? 1 : 0)
    }
  }
  return { assigned: (outcome) => pages.inc({ outcome }) }
}
