import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pageFields } from '../text/page-fields.ts'
import { pagePhrases } from '../text/phrases.ts'
import { labelConfidence } from './cluster-confidence.ts'
import { bundledMeaning } from './meaning-cosines.ts'
import { PhraseCounts } from './phrase-counts.ts'
import { rankPhrases } from './rank-phrases.ts'

const page = (title: string, text: string) => pagePhrases(pageFields(title, text), 'eng').phrases
const cats = ['Cat food', 'Kitten meals', 'The tabby cat'].map((title) =>
  page(title, `${title}: cat, cat food. See usage of the web site.`),
)
const ships = ['Sail boat', 'Sail ships', 'Masts'].map((title) =>
  page(title, 'A tall ship has a mast and a sail. See the web site.'),
)

function counted(mostPhrases?: number): PhraseCounts {
  const counts = new PhraseCounts(
    [
      { no: 0, layer: 0 },
      { no: 1, layer: 0 },
    ],
    mostPhrases,
  )
  for (const phrases of cats) counts.addPage(phrases, [0])
  for (const phrases of ships) counts.addPage(phrases, [1])
  return counts
}

describe('class-based TF-IDF', () => {
  it('finds what a cluster says and others do not', () => {
    const labels = counted()
      .keyphrases(1, 5)
      .map(({ label }) => label)
    expect(labels).toContain('sail')
    expect(labels).not.toContain('web site')
  })

  it('equals the formula computed by brute force', () => {
    const all = [...cats, ...ships]
    const weightOf = (pages: typeof all, form: string) =>
      pages.reduce((sum, phrases) => sum + (phrases.get(form)?.weight ?? 0), 0)
    const total = (pages: typeof all) =>
      pages.flatMap((p) => [...p.values()]).reduce((sum, { weight }) => sum + weight, 0)
    for (const { form, score, coverage, precision } of counted().keyphrases(0, 10)) {
      const expected = (weightOf(cats, form) / total(cats)) * Math.log1p(total(all) / 2 / weightOf(all, form))
      expect(score).toBeCloseTo(expected, 10)
      expect(coverage).toBeCloseTo(cats.filter((p) => p.has(form)).length / 3)
      expect(precision).toBeCloseTo(cats.filter((p) => p.has(form)).length / all.filter((p) => p.has(form)).length)
    }
  })

  it('takes no phrase of a single page, however often it stands there', () => {
    const counts = new PhraseCounts([{ no: 0, layer: 0 }])
    const spam = 'buy acme coins'
    const repeated = page(spam, `# ${spam}\n\n${`${spam}. `.repeat(500)}`)
    for (const phrases of [...cats, repeated]) counts.addPage(phrases, [0])
    expect(counts.keyphrases(0, 40).filter(({ form }) => /acme|coin|buy/.test(form))).toEqual([])
  })

  it('gives a phrase that is mostly part of a longer one up for it', () => {
    const labels = counted()
      .keyphrases(0, 10)
      .map(({ label }) => label.toLowerCase())
    expect(labels).toContain('cat food')
    expect(labels).not.toContain('food')
  })

  it('counts pages for a plain word only where they are about it, for phrases and names wherever they stand', () => {
    const counts = new PhraseCounts([{ no: 0, layer: 0 }])
    const text = 'A zebra takes few characters, one data frame and an XMLReader.'
    for (const title of ['Walrus', 'Zebra', 'Heron', 'Lemur']) counts.addPage(page(title, text), [0])
    const support = new Map(counts.keyphrases(0, 60).map((phrase) => [phrase.form, phrase.support]))
    const [word, titled, pair, name] = ['character', 'zebra', 'data frame', 'xmlreader'].map((form) =>
      support.get(form),
    )
    expect({ word, titled, pair, name }).toEqual({ word: 0, titled: 0.25, pair: 1, name: 1 })
  })

  it('gives a part up in scripts without spaces too', () => {
    const counts = new PhraseCounts([{ no: 0, layer: 0 }])
    const text = '机器学习是人工智能的一个分支。'
    for (const title of ['机器学习', '机器学习入门']) {
      counts.addPage(pagePhrases(pageFields(title, text), 'zho').phrases, [0])
    }
    const labels = counts.keyphrases(0, 20).map(({ label }) => label)
    expect(labels).toContain('机器学习')
    expect(labels).not.toContain('机器')
  })

  it('forgets rare phrases when there are too many, and keeps counting right', () => {
    const counts = new PhraseCounts([{ no: 0, layer: 0 }], 50)
    for (let k = 0; k < 200; k++) counts.addPage(page('Quantum topic', `rare${k}x words${k}y other${k}z`), [0])
    const [first] = counts.keyphrases(0, 5)
    expect(first).toMatchObject({ form: 'quantum topic', coverage: 1, precision: 1 })
  })

  it('says what is wrong when a page is in an unknown cluster', () => {
    expect(() => counted().addPage(cats[0]!, [7])).toThrow('cluster 7 is not among those that are counted')
  })
})

describe('ranking', () => {
  const phrase = (label: string, score: number) => ({
    label,
    form: label,
    score,
    coverage: 0.5,
    support: 0.5,
    precision: 0.5,
  })
  const vectors = Float32Array.from([1, 0, 0, 1, 0.8, 0.6, 0.99, 0.141])
  const of = {
    vectors,
    centroids: Float32Array.from([1, 0, 0, 1]),
    cluster: 0,
    dims: 2,
    meaning: bundledMeaning,
    limit: 3,
  }

  it('puts phrases near to the cluster first and drops those that mean the same', () => {
    const keyphrases = [phrase('alpha', 1), phrase('beta', 1), phrase('gamma', 1), phrase('delta', 0.9)]
    const ranked = rankPhrases({ ...of, keyphrases }).map(({ label }) => label)
    expect(ranked[0]).toBe('alpha')
    expect(ranked).not.toContain('delta')
  })

  it('drops inflections of what it has', () => {
    const keyphrases = [phrase('logging', 1), phrase('log level', 0.2), phrase('logger', 0.9), phrase('pino', 0.5)]
    const apart = Float32Array.from([1, 0, 0, 1, 0.8, 0.6, 0.8, -0.6])
    expect(rankPhrases({ ...of, vectors: apart, keyphrases }).map(({ label }) => label)).toEqual(['logging', 'pino'])
  })

  it('drops what is cut out of one longer phrase', () => {
    const keyphrases = [phrase('crop yield forecast', 1), phrase('yield forecast area', 0.9), phrase('forecast', 0.1)]
    const apart = Float32Array.from([1, 0, 0.8, 0.6, 0.8, -0.6])
    expect(rankPhrases({ ...of, vectors: apart, keyphrases }).map(({ label }) => label)).toEqual([
      'crop yield forecast',
    ])
  })

  it('drops words that pages only mention, and keeps the best alone where nothing else is', () => {
    const mentioned = { ...phrase('characters', 1), coverage: 0.6, support: 0.02, precision: 0.25 }
    const apart = Float32Array.from([0.7, 0.6, 0.8, -0.6])
    const beside = rankPhrases({ ...of, vectors: apart, keyphrases: [mentioned, phrase('escape', 0.5)] })
    expect(beside.map(({ label }) => label)).toEqual(['escape'])
    const alone = rankPhrases({
      ...of,
      vectors: Float32Array.from([0.7, 0.6, 0.6, 0.7]),
      keyphrases: [mentioned, { ...mentioned, label: 'plus', form: 'plus', score: 0.5 }],
    })
    expect(alone.map(({ label }) => label)).toEqual(['characters'])
  })

  it('gives the same order whatever order the phrases come in', () => {
    const keyphrases = [phrase('alpha', 1), phrase('beta', 1)]
    const forward = rankPhrases({ ...of, vectors: vectors.subarray(0, 4), keyphrases })
    const backward = rankPhrases({
      ...of,
      vectors: Float32Array.from([0, 1, 1, 0]),
      keyphrases: keyphrases.toReversed(),
    })
    expect(backward).toEqual(forward)
  })
})

describe('confidence of a label', () => {
  it('rises with each piece of evidence and stays between 0 and 1', () => {
    const weak = { coverage: 0.2, precision: 0.1, similarity: 0.2, lift: 0.5 }
    for (const more of [{ coverage: 0.9 }, { precision: 0.9 }, { lift: 4 }]) {
      expect(labelConfidence({ ...weak, ...more })).toBeGreaterThan(labelConfidence(weak))
    }
    expect(labelConfidence({ coverage: 1, precision: 1, similarity: 1, lift: 9 })).toBeLessThanOrEqual(1)
    expect(labelConfidence({ coverage: 0, precision: 0, similarity: 0, lift: 0 })).toBeLessThan(0.1)
  })

  it('falls with no piece of evidence, whatever the others are', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    const anyEvidence = fc.record({
      coverage: share,
      precision: share,
      similarity: fc.double({ min: -1, max: 1, noNaN: true }),
      lift: fc.double({ min: -6, max: 30, noNaN: true }),
    })
    fc.assert(
      fc.property(anyEvidence, anyEvidence, (one, other) => {
        for (const piece of ['coverage', 'precision', 'similarity', 'lift'] as const) {
          const [less, more] = [one[piece], other[piece]].toSorted((a, b) => a - b)
          const low = labelConfidence({ ...one, [piece]: less })
          const high = labelConfidence({ ...one, [piece]: more })
          expect(high).toBeGreaterThanOrEqual(low)
          expect(low).toBeGreaterThanOrEqual(0)
          expect(high).toBeLessThanOrEqual(1)
        }
      }),
    )
  })
})
