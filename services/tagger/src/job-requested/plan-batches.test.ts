import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planEmbedBatches } from './plan-batches.ts'

test('batches hold every page once, in order, within their bounds', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20_000), { maxLength: 2000 }), (lengths) => {
      const pages = lengths.map((characters, pageId) => ({ pageId, characters }))
      const batches = planEmbedBatches(pages)
      expect(batches.flatMap((b) => b.page_ids)).toEqual(pages.map((p) => p.pageId))
      for (const batch of batches) {
        expect(batch.of).toBe(pages.length)
        expect(batch.page_ids.length).toBeGreaterThan(0)
        expect(batch.page_ids.length).toBeLessThanOrEqual(256)
      }
    }),
  )
})

test('a wiki of short titles makes few batches, one of long pages many small ones', () => {
  const pages = (characters: number) => Array.from({ length: 1024 }, (_, pageId) => ({ pageId, characters }))
  expect(planEmbedBatches(pages(50))).toHaveLength(4)
  expect(planEmbedBatches(pages(50_000))).toHaveLength(26)
})

test('very long pages are spread, so that a batch fits into memory', () => {
  const pages = Array.from({ length: 10 }, (_, pageId) => ({ pageId, characters: 9_000_000 }))
  expect(planEmbedBatches(pages).map(({ page_ids }) => page_ids.length)).toEqual([2, 2, 2, 2, 2])
})
