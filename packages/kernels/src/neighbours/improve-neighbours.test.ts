import { expect, test } from 'vitest'
import { bruteProduct as multiply, topics } from '../clustering/testing.ts'
import { unitVectors } from '../clustering/vectors.ts'
import { mostOwn, visitCells } from './compare-cells.ts'
import { type Division, divideIntoCells, mostAsking } from './divide-into-cells.ts'
import { improveNeighbours, mostAround, recallAfterRound } from './improve-neighbours.ts'
import { recallOf, type Sample, sampleTruth } from './measure-recall.ts'
import { openRowMemory, type RowMemory } from './row-memory.ts'

const [pages, dims, gap] = [1_500, 24, 0.05]

/** Lists of pages that have visited only the cells within a narrow gap. */
async function narrowlySearched(): Promise<{ memory: RowMemory; sample: Sample; division: Division }> {
  const memory = openRowMemory(unitVectors(topics(pages, 40, dims, 0.8, 7), dims), dims, {
    k: 15,
    mostLeft: mostAsking,
    mostRight: mostOwn,
    mostProducts: 1_048_576,
    mostRows: mostAsking,
    mostColumns: Math.max(mostOwn, mostAround),
  })
  const sample = await sampleTruth(memory, { multiply })
  const division = await divideIntoCells(memory, 3, { multiply })
  await visitCells(memory, division, (value) => value <= gap, { multiply })
  return { memory, sample, division }
}

test('a round finds what the lists tell beforehand that it will', async () => {
  const { memory, sample, division } = await narrowlySearched()
  const before = recallOf(sample, memory.lists)
  const hoped = recallAfterRound(sample, memory.lists)
  improveNeighbours(memory, { division, upTo: gap })
  const after = recallOf(sample, memory.lists)
  expect(after).toBeGreaterThan(before + 0.02)
  expect(Math.abs(after - hoped)).toBeLessThan(0.02)
})

test('pairs that have met need not be compared again', async () => {
  const [skipping, comparing] = [await narrowlySearched(), await narrowlySearched()]
  improveNeighbours(skipping.memory, { division: skipping.division, upTo: gap })
  improveNeighbours(comparing.memory, { division: comparing.division, upTo: -1 })
  expect(skipping.memory.lists.indices).toEqual(comparing.memory.lists.indices)
})
