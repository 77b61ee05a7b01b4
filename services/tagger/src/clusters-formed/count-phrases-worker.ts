import { openDatabase, readPagesInClusters } from '@tagloom/database'
import {
  DocumentSample,
  type Language,
  languageOfPages,
  PhraseCounts,
  pageFields,
  pagePhrases,
  topicDiversity,
  topicWords,
  WordDocuments,
} from '@tagloom/kernels'
import { answerParent } from '@tagloom/service-kit/worker'
import type { ClusterPhrases, CountInput, CountResult, TopicFigures } from './phrases.ts'

/*
 * A worker thread with a connection of its own: reads every page of a job once, in the order of page ids, and counts its phrases.
 * The same pages and clusters give the same result.
 */

/** Characters of a page that are read from the database */
const CHARACTERS = 60_000
const KEYPHRASES = 40
/** Words of pages that are kept for the coherence of topics: those of all pages up to some 50,000 short ones */
const WORDS_OF_PAGES = 8_000_000
const TOPIC_WORDS = 10
const WORD_CANDIDATES = 40

export async function countPhrases(input: CountInput): Promise<CountResult> {
  const db = openDatabase({ url: input.databaseUrl, max: 1, applicationName: 'tagloom-tagger-phrases' })
  try {
    const counts = new PhraseCounts(input.clusters)
    const documents = new DocumentSample(WORDS_OF_PAGES)
    // Pages too short to tell their language take that of the page before: wikis are mostly in one. Where none tells, as in a wiki of
    // titles, it is what they say together.
    let language: Language | undefined
    for await (const pages of readPagesInClusters(db, input.jobId, CHARACTERS)) {
      const fields = pages.map(({ title, text }) => pageFields(title, text))
      language ??= languageOfPages(fields)
      for (const [k, page] of pages.entries()) {
        const read = pagePhrases(fields[k]!, language)
        language = read.language
        counts.addPage(read.phrases, page.clusterNos)
        documents.add([...read.phrases.keys()].filter((form) => !form.includes(' ')))
      }
    }
    return { phrases: phrasesOf(counts, input), topics: figures(counts, input, documents) }
  } finally {
    await db.close()
  }
}

function phrasesOf(counts: PhraseCounts, input: CountInput): CountResult['phrases'] {
  return input.clusters.map(({ no }) => {
    const found: ClusterPhrases = {
      phrases: counts.keyphrases(no, KEYPHRASES),
      vocabulary: input.vocabularyForms.flatMap((form) => {
        const { coverage, precision } = counts.sharesOf(no, form)
        return coverage === 0 ? [] : [[form, coverage, precision] as const]
      }),
    }
    return { no, json: JSON.stringify(found) }
  })
}

function figures(counts: PhraseCounts, input: CountInput, documents: DocumentSample): TopicFigures {
  const candidates = input.clusters.filter(({ chosen }) => chosen).map(({ no }) => counts.words(no, WORD_CANDIDATES))
  if (candidates.length === 0) return { npmi: null, diversity: null }
  const together = new WordDocuments(documents, new Set(candidates.flat().map(({ word }) => word)))
  const topics = topicWords(candidates, together, TOPIC_WORDS)
  const npmi = topics.filter((words) => words.length > 1).map((words) => together.coherence(words))
  const diversity = topicDiversity(topics)
  return {
    npmi: npmi.length === 0 ? null : npmi.reduce((sum, value) => sum + value, 0) / npmi.length,
    diversity: Number.isNaN(diversity) ? null : diversity,
  }
}

answerParent(async (input: CountInput) => ({ result: await countPhrases(input) }))
