import { tagForm } from '@tagloom/contracts'
import { type Job, readClusterPages, type StoredCluster, type StoredTag } from '@tagloom/database'
import type { Proposal } from '@tagloom/kernels'
import type { JobMetrics } from '@tagloom/service-kit'
import type { ClusterPhrases } from '../clusters-formed/phrases.ts'
import type { LabelDeps } from '../label-deps.ts'
import type { Asking } from '../label-vectors.ts'
import type { LabelObserver, LanguageModel } from '../llm/language-model.ts'
import { isLabel } from '../llm/parse-reply.ts'
import { buildPrompt, excerptOf, type PromptPage } from '../llm/prompt.ts'
import { cosine } from './cosine.ts'
import { groundInCluster } from './ground-in-cluster.ts'
import { type LayerCentroids, layerCentroids } from './layer-centroids.ts'
import { pickExemplars } from './pick-exemplars.ts'

export interface ForLanguageModel {
  readonly job: Job
  /** Its number */
  readonly batch: number
  readonly nos: readonly number[]
  readonly clusters: readonly StoredCluster[]
  readonly phrases: ReadonlyMap<number, ClusterPhrases>
  /** What clusters get whose labels the model does not give */
  readonly keyphrases: ReadonlyMap<number, Proposal[]>
  readonly metrics: JobMetrics
  readonly signal: AbortSignal
}

const EXEMPLARS = { central: 4, spread: 4 } as const
const MEMBERS_READ = 60
/** Of a page, for an excerpt without code and marks */
const CHARACTERS_READ = 5_000
const PROMPT_KEYPHRASES = 12
const PROMPT_VOCABULARY = 20

/** Proposals of the language model for each cluster, followed by its keyphrases; keyphrases alone where it gave none. */
export async function proposeByLanguageModel(of: ForLanguageModel, deps: LabelDeps): Promise<Map<number, Proposal[]>> {
  const model = deps.languageModel
  if (!model) return new Map(of.keyphrases)
  const approved = (await deps.vocabularies.of(of.job.wikiId, deps.vectors.modelId, of.metrics.countLookups)).filter(
    ({ status }) => status === 'approved',
  )
  // What a model names is used as a tag of the vocabulary, or as a new one.
  if (of.job.options.vocabulary === 'only' && approved.length === 0) return new Map(of.keyphrases)
  const layers = layerCentroids(of.clusters)
  const entries = await Promise.all(
    of.nos.map(async (no) => {
      const cluster = of.clusters.find((one) => one.no === no)!
      const proposals = await proposeOne(of, deps, model, cluster, layers.get(cluster.layer)!, approved)
      return [no, proposals] as const
    }),
  )
  return new Map(entries)
}

async function proposeOne(
  of: ForLanguageModel,
  deps: LabelDeps,
  model: LanguageModel,
  cluster: StoredCluster,
  layer: LayerCentroids,
  approved: readonly StoredTag[],
): Promise<Proposal[]> {
  const { job, batch, signal } = of
  const keyphrases = of.keyphrases.get(cluster.no) ?? []
  const pages = await exemplars(deps, job, cluster)
  if (pages.length === 0) return keyphrases
  const prompt = buildPrompt({
    pages,
    keyphrases: keyphrases.slice(0, PROMPT_KEYPHRASES).map(({ label }) => label),
    vocabulary: job.options.vocabulary === 'free' ? [] : await nearest(deps, cluster, approved, asking(of)),
    tags: job.options.tags_per_cluster ?? 5,
  })
  const budget = { tokens: job.options.llm_budget_tokens, usd: job.options.llm_budget_usd }
  const labels = await model.labels({ jobId: job.id, batch, prompt, budget }, observe(deps, cluster.no), signal)
  if (!labels) return keyphrases
  const phrases = of.phrases.get(cluster.no)
  const grounded = await groundInCluster(
    labels,
    { cluster, layer, phrases, keyphrases, shown: pages },
    deps.vectors,
    asking(of),
  )
  const forms = new Set(grounded.map(({ label }) => tagForm(label)))
  return [...grounded, ...keyphrases.filter(({ label }) => !forms.has(tagForm(label)))]
}

async function exemplars(deps: LabelDeps, job: Job, cluster: StoredCluster): Promise<PromptPage[]> {
  const of = { jobId: job.id, model: deps.vectors.modelId, clusterNo: cluster.no, characters: CHARACTERS_READ }
  const members = await readClusterPages(deps.db, of, MEMBERS_READ)
  const vectors = members.map(({ vector }) => vector)
  return pickExemplars(vectors, cluster.centroid, EXEMPLARS).map((row) => excerptOf(members[row]!))
}

/** A tag that comes with a page may be a sentence, and tell the model something: what it cannot answer with it is not shown. */
async function nearest(
  deps: LabelDeps,
  cluster: StoredCluster,
  approved: readonly StoredTag[],
  how: Asking,
): Promise<string[]> {
  const labels = approved.map(({ label }) => label).filter(isLabel)
  const vectorOf = await deps.vectors.of(labels, how)
  return labels
    .map((label) => ({ label, cosine: cosine(vectorOf(label), cluster.centroid) }))
    .sort((a, b) => b.cosine - a.cosine || (a.label < b.label ? -1 : 1))
    .slice(0, PROMPT_VOCABULARY)
    .map(({ label }) => label)
}

const asking = ({ metrics, signal }: ForLanguageModel): Asking => ({ tell: metrics.countLookups, signal })

/** A log line for each call, and for each thing that went wrong. */
function observe({ log }: LabelDeps, cluster_id: number): LabelObserver {
  return {
    called(latencyMs) {
      log.event('labeller_called', { clusters: 1, latency_ms: latencyMs })
    },
    timedOut(attempt, timeout_ms) {
      log.event('llm_timeout', { cluster_id, attempt, timeout_ms })
    },
    failed(attempt, code, reason) {
      log.event('llm_failure', { cluster_id, attempt, code, reason: reason.slice(0, 2000) })
    },
    unreadable(attempt, reason) {
      log.event('parsing_error', { cluster_id, attempt, reason })
    },
    budgetSpent(tokens, cost_usd, reason) {
      log.event('llm_budget_spent', { tokens, cost_usd, reason })
    },
  }
}
