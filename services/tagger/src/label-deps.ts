import type { HandlerDeps } from '@tagloom/service-kit'
import type { JobClusters } from './job-clusters.ts'
import type { LabelVectors } from './label-vectors.ts'
import type { LanguageModel } from './llm/language-model.ts'
import type { Vocabularies } from './vocabularies.ts'

/** What the handlers of the label stage work with. */
export interface LabelDeps extends HandlerDeps {
  readonly vectors: LabelVectors
  readonly vocabularies: Vocabularies
  readonly clusters: JobClusters
  /** undefined where none is configured: jobs that ask for one get keyphrases */
  readonly languageModel: LanguageModel | undefined
}
