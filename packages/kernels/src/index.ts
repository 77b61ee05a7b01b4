export { type Agreement, agreement, rowsInClusters } from './clustering/agreement.ts'
export { assignPages, driftOf } from './clustering/assign-pages.ts'
export type { FoundLayer } from './clustering/carry-over.ts'
export {
  type ClusterHooks,
  type Clustering,
  type ClusterOptions,
  clusterPages,
} from './clustering/cluster-pages.ts'
export { type Evaluation, evaluateClustering } from './clustering/evaluate.ts'
export { type Lineage, type LineageMatch, matchLineages, type RunLayer } from './clustering/lineage.ts'
export type { ClusterLayer } from './clustering/settle-layer.ts'
export { VectorError } from './clustering/vectors.ts'
export type { Multiply } from './multiply.ts'
export { cosinesTo, type LabelEvidence, labelConfidence, standOut } from './tagging/cluster-confidence.ts'
export { topicDiversity, topicWords, type WordCandidate, WordDocuments } from './tagging/coherence.ts'
export { DocumentSample } from './tagging/document-sample.ts'
export {
  bundledCosine,
  bundledCosines,
  bundledMeaning,
  type MeaningCosines,
  meaningCosines,
  meaningLabels,
} from './tagging/meaning-cosines.ts'
export { type ClusterPlace, type Keyphrase, PhraseCounts } from './tagging/phrase-counts.ts'
export {
  type PageTag,
  type PageToTag,
  type PropagateOptions,
  type TagBackground,
  type TaggedPage,
  type TagsOfClusters,
  tagBackground,
  tagsOfPage,
} from './tagging/propagate.ts'
export { type RankedPhrase, rankPhrases } from './tagging/rank-phrases.ts'
export { expectedCalibrationError, type ReliabilityBin } from './tagging/reliability.ts'
export {
  type ClusterToTag,
  type Proposal,
  type Resolution,
  type ResolvedClusterTag,
  resolveTags,
  type TagReference,
  type VocabularyMode,
  type VocabularyTag,
} from './tagging/resolve-tags.ts'
export { type PageFields, pageFields } from './text/page-fields.ts'
export { languageOfPages, type PagePhrase, pagePhrases, wordTest } from './text/phrases.ts'
export { detectLanguage, type Language } from './text/stop-words.ts'
export { wordRuns } from './text/words.ts'
export { createTrendScratch, type TrendScratch } from './trend/theil-sen.ts'
export { type Trend, trendOf } from './trend/trend.ts'
