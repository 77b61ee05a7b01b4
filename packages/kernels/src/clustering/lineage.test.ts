import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assign } from './assignment.ts'
import { matchLineages, type RunLayer } from './lineage.ts'

/** A run whose clusters hold these pages; centroids say nothing. */
const layer = (prefix: string, clusters: number[][]): RunLayer => ({
  ids: clusters.map((_, i) => `${prefix}${i}`),
  centroids: new Float32Array(clusters.length),
  clusterOfPage: new Map(clusters.flatMap((pages, cluster) => pages.map((page) => [page, cluster] as const))),
})
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const match = (before: number[][], now: number[][], pages = range(0, 100)) =>
  matchLineages(layer('a', before), layer('b', now), 1, { previous: new Set(range(0, 100)), current: pages })

test('the same clusters in another order continue, with nothing changed', () => {
  const found = match([range(0, 50), range(50, 90)], [range(50, 90), range(0, 50)])
  expect(found.lineages.map(({ id, event }) => [id, event])).toEqual([
    ['a1', 'continued'],
    ['a0', 'continued'],
  ])
  expect(found).toMatchObject({ died: [], pagesInBoth: 100, pagesChanged: 0 })
})

test('the larger part of a split continues, the smaller says where it came from', () => {
  const { lineages, pagesChanged } = match([range(0, 100)], [range(0, 60), range(60, 100)])
  expect(lineages).toEqual([
    { id: 'a0', event: 'continued', from: ['a0'] },
    { id: 'b1', event: 'split', from: ['a0'] },
  ])
  expect(pagesChanged).toBe(40)
})

test('a merge keeps the lineage of the larger and names both', () => {
  const { lineages, died } = match([range(0, 60), range(60, 100)], [range(0, 100)])
  expect(lineages).toEqual([{ id: 'a0', event: 'merged', from: ['a0', 'a1'] }])
  expect(died).toEqual([])
})

test('clusters without common pages are born, and those before die', () => {
  const { lineages, died } = match([range(0, 50)], [range(50, 100)])
  expect(lineages).toEqual([{ id: 'b0', event: 'born', from: [] }])
  expect(died).toEqual(['a0'])
})

test('a cluster of new pages is matched by its centroid', () => {
  const before = { ...layer('a', [[]]), centroids: Float32Array.of(1) }
  const now = { ...layer('b', [range(200, 220)]), centroids: Float32Array.of(1) }
  const { lineages } = matchLineages(before, now, 1, { previous: new Set<number>(), current: range(200, 220) })
  expect(lineages).toEqual([{ id: 'a0', event: 'continued', from: ['a0'] }])
})

/** The best sum over all ways to assign, by trying them. */
function bruteBest(values: number[][], row = 0, used = 0): number {
  if (row === values.length) return 0
  let best = bruteBest(values, row + 1, used)
  for (const [column, value] of values[row]!.entries()) {
    if (value <= 0 || used & (1 << column)) continue
    best = Math.max(best, value + bruteBest(values, row + 1, used | (1 << column)))
  }
  return best
}

test('assigns with the most that can be had', () => {
  const table = fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 4, maxLength: 4 }), { maxLength: 5 })
  fc.assert(
    fc.property(table, (values) => {
      const pairs = values.flatMap((row, r) => row.map((value, column) => ({ row: r, column, value })))
      const chosen = assign(pairs.filter((pair) => pair.value > 0))
      expect(chosen.reduce((sum, pair) => sum + pair.value, 0)).toBe(bruteBest(values))
      expect(new Set(chosen.map((pair) => pair.row)).size).toBe(chosen.length)
      expect(new Set(chosen.map((pair) => pair.column)).size).toBe(chosen.length)
    }),
  )
})
