import { describe, expect, it } from 'vitest'
import { DocumentSample } from './document-sample.ts'

/** Document k has its number and a word of its own half. */
const documents = Array.from({ length: 1000 }, (_, k) => [`${k}`, k < 500 ? 'early' : 'late'])

function sampleOf(mostWords: number): DocumentSample {
  const sample = new DocumentSample(mostWords)
  for (const words of documents) sample.add(words)
  return sample
}

describe('a sample of documents', () => {
  it('is all of them while their words are few enough', () => {
    expect([...sampleOf(2000)]).toEqual(documents)
  })

  it('is every second, fourth, … one where they are more, the last ones as well as the first', () => {
    const kept = [...sampleOf(1999)]
    expect(kept).toEqual(documents.filter((_, k) => k % 2 === 0))
    const few = [...sampleOf(300)]
    expect(few).toEqual(documents.filter((_, k) => k % 8 === 0))
    expect(few.filter(([, half]) => half === 'late')).toHaveLength(62)
  })

  it('keeps one document, however many words it has', () => {
    const sample = new DocumentSample(3)
    sample.add(['a', 'b', 'c', 'd'])
    sample.add(['e'])
    expect([...sample]).toEqual([['a', 'b', 'c', 'd']])
  })
})
