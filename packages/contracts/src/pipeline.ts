import type { EventDeclaration } from './envelope.ts'
import { events } from './events.ts'
import type { ServiceName } from './stages.ts'

export interface Flow {
  readonly event: EventDeclaration
  readonly producers: readonly ServiceName[]
  /** Services that consume it; `[]` where it is for other systems only */
  readonly consumers: readonly ServiceName[]
  /** The folder of each consumer's handler, where it differs from the event's name with a dash */
  readonly note?: string
}

const everyWorker = ['tagger', 'clusterer', 'propagator'] as const

/** The pipeline as a table: who emits what, and who acts on it. */
export const pipeline: readonly Flow[] = [
  { event: events.jobRequested, producers: ['gateway'], consumers: ['tagger', 'metrics-aggregator'] },
  { event: events.embedBatch, producers: ['tagger', 'gateway'], consumers: ['tagger'] },
  { event: events.pagesEmbedded, producers: ['tagger', 'gateway'], consumers: ['clusterer'] },
  { event: events.clustersFormed, producers: ['clusterer', 'gateway'], consumers: ['tagger'] },
  { event: events.labelBatch, producers: ['tagger', 'gateway'], consumers: ['tagger'] },
  { event: events.labelsProposed, producers: ['tagger', 'gateway'], consumers: ['tagger'] },
  { event: events.clustersTagged, producers: ['tagger', 'gateway'], consumers: ['propagator'] },
  { event: events.propagateBatch, producers: ['propagator', 'gateway'], consumers: ['propagator'] },
  { event: events.tagsPropagated, producers: ['propagator'], consumers: [], note: 'for other systems' },
  { event: events.jobProgressed, producers: everyWorker, consumers: ['gateway'], note: 'feeds server-sent events' },
  {
    event: events.jobCancelled,
    producers: ['gateway'],
    consumers: [...everyWorker, 'metrics-aggregator'],
    note: 'every replica of a worker drops what it has in hand',
  },
  { event: events.jobFailed, producers: ['gateway', ...everyWorker], consumers: ['gateway', 'metrics-aggregator'] },
  { event: events.jobCompleted, producers: ['propagator'], consumers: ['gateway', 'metrics-aggregator'] },
  { event: events.assignmentRequested, producers: ['gateway'], consumers: ['tagger'] },
  { event: events.assignmentEmbedded, producers: ['tagger'], consumers: ['clusterer'] },
  { event: events.pagesAssigned, producers: ['clusterer'], consumers: [], note: 'for other systems' },
  {
    event: events.vocabularyChanged,
    producers: ['gateway', 'tagger'],
    consumers: ['tagger', 'propagator'],
    note: 'drops caches',
  },
  { event: events.metricsSampled, producers: everyWorker, consumers: ['metrics-aggregator'] },
  { event: events.alertRaised, producers: ['metrics-aggregator'], consumers: ['gateway'] },
  { event: events.alertResolved, producers: ['metrics-aggregator'], consumers: ['gateway'] },
]
