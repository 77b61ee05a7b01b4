import type { Keyphrase } from '@tagloom/kernels'

/** What is stored of a cluster's texts between counting and labelling: clusters.keyphrases. */
export interface ClusterPhrases {
  /** By class-based TF-IDF, best first */
  readonly phrases: readonly Keyphrase[]
  /** What the texts say for tags of the vocabulary: form, coverage, precision */
  readonly vocabulary: readonly (readonly [form: string, coverage: number, precision: number])[]
}

export interface TopicFigures {
  /** Mean over clusters of the NPMI of their ten words, over the job's own pages; null without two words anywhere */
  readonly npmi: number | null
  /** Share of different words among those of all clusters; null without clusters */
  readonly diversity: number | null
}

export interface CountInput {
  readonly databaseUrl: string
  readonly jobId: string
  readonly clusters: readonly { readonly no: number; readonly layer: number; readonly chosen: boolean }[]
  readonly vocabularyForms: readonly string[]
}

export interface CountResult {
  /** ClusterPhrases of each cluster as JSON, written in the thread: of a large wiki they are tens of megabytes */
  readonly phrases: readonly { readonly no: number; readonly json: string }[]
  readonly topics: TopicFigures
}
