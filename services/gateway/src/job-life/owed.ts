import {
  type DataOf,
  type EventDeclaration,
  events,
  type OutgoingMessage,
  type Stage,
  toMessage,
} from '@tagloom/contracts'
import {
  countJobPages,
  type Executor,
  type Job,
  readOpenBatches,
  readRunFigures,
  readStages,
  type StageRow,
} from '@tagloom/database'

/** What a running job waits for: the message that somebody must have in hand for it to go on. */
export type Step =
  | 'job.requested'
  | 'embed.batch'
  | 'pages.embedded'
  | 'clusters.formed'
  | 'label.batch'
  | 'labels.proposed'
  | 'clusters.tagged'
  | 'propagate.batch'

/**
 * The step that a job is at, by its stages alone:
 * no embed → job.requested; embed open → its batches; embed ended, cluster not → pages.embedded; cluster ended, no label →
 * clusters.formed; label open → its batches, or labels.proposed once they are done; label ended, no propagate → clusters.tagged;
 * propagate open → its batches.
 * @param openBatches whether the latest stage has batches that are not done
 */
export function stepOf(stages: readonly Pick<StageRow, 'stage' | 'endedAt'>[], openBatches: boolean): Step {
  const of = (stage: Stage) => stages.find((row) => row.stage === stage)
  const ended = (stage: Stage) => of(stage)?.endedAt != null
  if (of('propagate')) return 'propagate.batch'
  if (ended('label')) return 'clusters.tagged'
  if (of('label')) return openBatches ? 'label.batch' : 'labels.proposed'
  if (ended('cluster')) return 'clusters.formed'
  if (ended('embed')) return 'pages.embedded'
  return of('embed') ? 'embed.batch' : 'job.requested'
}

export interface Owed {
  readonly step: Step
  /** Differs whenever the job has come further */
  readonly place: string
  readonly messages: OutgoingMessage[]
}

/**
 * The messages that a running job cannot go on without, built from its rows. Handlers know them by their envelope's id, so sending
 * one that was not lost changes nothing.
 * @param resend see toMessage: without it a message the stream has seen lately is dropped
 */
export async function readOwed(db: Executor, job: Job, resend?: string): Promise<Owed> {
  const stages = await readStages(db, job.id)
  const latest = stages.at(-1)
  const open = latest ? await readOpenBatches(db, job.id, latest.stage) : []
  const step = stepOf(stages, open.length > 0)
  const place = `${job.attempt}.${stages.map((row) => `${row.stage}-${row.done}`).join('.') || 'start'}`
  const context = {
    source: 'gateway',
    traceparent: job.traceparent ?? undefined,
    requestId: job.requestId ?? undefined,
  }
  const message = <E extends EventDeclaration>(event: E, data: DataOf<E>) => toMessage(event, data, context, resend)
  return { step, place, messages: await build() }

  async function build(): Promise<OutgoingMessage[]> {
    const of = { wiki_id: job.wikiId, job_id: job.id }
    const batches = (event: typeof events.embedBatch | typeof events.labelBatch | typeof events.propagateBatch) =>
      open.map((batch) => message(event as typeof events.embedBatch, { ...of, batch }))
    if (step === 'job.requested') return [message(events.jobRequested, { ...of, options: job.options })]
    if (step === 'embed.batch') return batches(events.embedBatch)
    if (step === 'label.batch') return batches(events.labelBatch)
    if (step === 'propagate.batch') return batches(events.propagateBatch)
    const figures = await readRunFigures(db, job.id)
    const { clusters, layers, outliers, tags } = figures
    switch (step) {
      case 'pages.embedded': {
        const pages = await countJobPages(db, job.id)
        return [message(events.pagesEmbedded, { ...of, pages, embedded: figures.embedded, model: job.model ?? '' })]
      }
      case 'clusters.formed':
        return [message(events.clustersFormed, { ...of, clusters, layers, outliers })]
      case 'labels.proposed':
        return [message(events.labelsProposed, { ...of, clusters })]
      case 'clusters.tagged':
        return [message(events.clustersTagged, { ...of, clusters, tags })]
    }
  }
}
