import type { MetricSample } from '@tagloom/contracts'
import { type Database, readSamples, type SampleToStore, sampleToStore, storeSamples } from '@tagloom/database'
import type { LiveRecords } from '@tagloom/service-kit/live-records'

/** What is read of a sample when it comes */
export const keptFields = ['job_id', 'stage', 'batch'] as const
type KeptField = (typeof keptFields)[number]

/**
 * Where samples are kept until their record is old: the database, or with STORE_METRICS_IN_DB=false the live store.
 * Of the thousands that wait to be saved only what will be is held: the garbage collector copies whatever lives that long.
 */
export interface Samples<Kept = unknown> {
  /** @param json the sample as JSON, checked */
  keep(fields: Pick<MetricSample, KeptField>, json: Uint8Array): Kept
  save(kept: readonly Kept[]): Promise<void>
  jobOf(kept: Kept): string
  read(wikiId: number, jobId: string): Promise<MetricSample[]>
}

/** All that who makes records needs of them */
export type SamplesToRead = Pick<Samples, 'read'>

export const samplesInDatabase = (db: Database): Samples<SampleToStore> => ({
  keep: sampleToStore,
  save: (samples) => storeSamples(db, samples),
  jobOf: ({ jobId }) => jobId,
  read: (_, jobId) => readSamples(db, jobId),
})

export const samplesInLiveStore = (live: LiveRecords): Samples<MetricSample> => ({
  keep: (_, json) => JSON.parse(Buffer.from(json).toString()),
  save: (samples) => live.putSamples(samples),
  jobOf: (sample) => sample.job_id,
  read: (wikiId, jobId) => live.samples(wikiId, jobId),
})
