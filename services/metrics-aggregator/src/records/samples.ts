import type { MetricSample } from '@tagloom/contracts'
import { type Database, readSamples, saveSamples } from '@tagloom/database'
import type { LiveRecords } from '@tagloom/service-kit/live-records'

/** Where samples are kept until their record is old: the database, or with STORE_METRICS_IN_DB=false the live store. */
export interface Samples {
  save(samples: readonly MetricSample[]): Promise<void>
  read(wikiId: number, jobId: string): Promise<MetricSample[]>
}

export const samplesInDatabase = (db: Database): Samples => ({
  save: async (samples) => void (await db.transaction((tx) => saveSamples(tx, samples))),
  read: (_, jobId) => readSamples(db, jobId),
})

export const samplesInLiveStore = (live: LiveRecords): Samples => ({
  save: (samples) => live.putSamples(samples),
  read: (wikiId, jobId) => live.samples(wikiId, jobId),
})
