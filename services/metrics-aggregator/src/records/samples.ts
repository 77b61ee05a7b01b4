import type { MetricSample } from '@tagloom/contracts'
import { type Database, readSamples, saveSamples } from '@tagloom/database'
import type { LiveRecords } from '@tagloom/service-kit/live-records'

/** Where samples are kept until their record is old: the database, or with STORE_METRICS_IN_DB=false the live store. */
export interface Samples {
  /** @param given.again whether some of them may be kept already */
  save(samples: readonly MetricSample[], given: { readonly again: boolean }): Promise<void>
  read(wikiId: number, jobId: string): Promise<MetricSample[]>
}

export const samplesInDatabase = (db: Database): Samples => ({
  save: async (samples, given) => void (await saveSamples(db, samples, given)),
  read: (_, jobId) => readSamples(db, jobId),
})

export const samplesInLiveStore = (live: LiveRecords): Samples => ({
  save: (samples) => live.putSamples(samples),
  read: (wikiId, jobId) => live.samples(wikiId, jobId),
})
