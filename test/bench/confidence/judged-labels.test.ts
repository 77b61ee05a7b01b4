import { bundledMeaning } from '@tagloom/kernels'
import { describe, expect, it } from 'vitest'
import { type GoldPage, judgedLabels } from './judged-labels.ts'

const topics = ['cat', 'dog', 'elk', 'fox'] as const
/** Eight pages of each topic, in a cluster of their own; the odd ones are held out. */
const pages: GoldPage[] = topics.flatMap((topic) =>
  Array.from({ length: 8 }, () => ({ title: `The ${topic}`, text: `Of a ${topic} in its house.`, label: topic })),
)
const layer = {
  clusters: 4,
  labels: Int32Array.from(pages.keys(), (row) => Math.floor(row / 8)),
  centroids: Float32Array.from({ length: 16 }, (_, k) => (k % 5 === 0 ? 1 : 0)),
}
const embed = async (labels: string[]) =>
  Float32Array.from(labels.flatMap((label) => topics.map((topic) => (label.toLowerCase().includes(topic) ? 1 : 0))))
const names = new Map(topics.map((topic) => [topic, topic]))
const judge = (of: readonly GoldPage[]) =>
  judgedLabels({ pages: of, layers: [layer], dims: 4 }, { names, topicShare: 0.5, meaning: bundledMeaning }, embed)

/** Cluster by cluster, which of the four names are right for it. */
async function rightNames(of: readonly GoldPage[]): Promise<string[][]> {
  const given = (await judge(of)).filter(({ kind }) => kind === 'given')
  return topics.map((_, no) => topics.filter((__, k) => given[no * 4 + k]!.right))
}

describe('judging labels', () => {
  it('finds a class right for the cluster that holds its pages, and a keyphrase for the cluster of those who say it', async () => {
    expect(await rightNames(pages)).toEqual([['cat'], ['dog'], ['elk'], ['fox']])
    const keyphrases = (await judge(pages)).filter(({ kind }) => kind === 'keyphrases')
    expect(keyphrases.length).toBeGreaterThanOrEqual(4)
    expect(keyphrases.every(({ right }) => right)).toBe(true)
  })

  it('asks only pages of which no evidence was taken', async () => {
    const relabelled = (parity: number) =>
      pages.map((page, row) => (row < 8 && row % 2 === parity ? { ...page, label: 'dog' } : page))
    expect(await rightNames(relabelled(0))).toEqual(await rightNames(pages))
    expect((await rightNames(relabelled(1)))[0]).toEqual(['dog'])
  })

  it('does not ask classes about the keyphrases of a cluster of which none has half', async () => {
    const mixed = pages.map((page, row) => (row < 8 ? { ...page, label: topics[(row >> 1) % 4]! } : page))
    const keyphrasesOf = async (of: readonly GoldPage[]) =>
      (await judge(of)).filter(({ kind }) => kind === 'keyphrases').length
    expect(await keyphrasesOf(mixed)).toBeLessThan(await keyphrasesOf(pages))
  })
})
