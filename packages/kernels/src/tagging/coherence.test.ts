import { describe, expect, it } from 'vitest'
import { topicDiversity, topicWords, WordDocuments } from './coherence.ts'

const texts = ['sail mast ship', 'sail mast', 'cat food', 'cat food ship', 'sail ship mast'].map((text) =>
  text.split(' '),
)
const documents = new WordDocuments(texts, new Set(texts.flat()))

describe('NPMI', () => {
  it('equals its definition', () => {
    const p = (...words: string[]) =>
      texts.filter((text) => words.every((word) => text.includes(word))).length / texts.length
    const npmi = (a: string, b: string) => Math.log(p(a, b) / (p(a) * p(b))) / -Math.log(p(a, b))
    for (const [a, b] of [
      ['sail', 'mast'],
      ['cat', 'food'],
      ['ship', 'cat'],
      ['ship', 'mast'],
    ] as const) {
      expect(documents.npmi(a, b)).toBeCloseTo(npmi(a, b), 12)
    }
  })

  it('is −1 for words that never meet and 1 for words that are always there', () => {
    expect(documents.npmi('cat', 'mast')).toBe(-1)
    expect(
      new WordDocuments(
        [
          ['a', 'b'],
          ['b', 'a'],
        ],
        new Set(['a', 'b']),
      ).npmi('a', 'b'),
    ).toBe(1)
  })
})

describe('topic words', () => {
  const candidates = [
    [
      { word: 'sail', score: 1 },
      { word: 'ship', score: 0.9 },
      { word: 'mast', score: 0.8 },
    ],
    [
      { word: 'cat', score: 1 },
      { word: 'ship', score: 0.5 },
      { word: 'food', score: 0.4 },
    ],
  ]
  it('give each word to the topic where it scores most', () => {
    const words = topicWords(candidates, documents, 2)
    expect(words[1]).toEqual(['cat', 'food'])
    expect(topicDiversity(words)).toBe(1)
  })

  it('prefer words that go together', () => {
    expect(topicWords(candidates, documents, 2)[0]).toEqual(['sail', 'mast'])
  })
})
