import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SmallestFirst } from './smallest-first.ts'

test('items come out as a scan of all of them finds the smallest, also those that grew meanwhile', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(8), { minLength: 1, maxLength: 40 }),
      fc.array(fc.tuple(fc.nat(39), fc.integer({ min: 1, max: 5 }))),
      (start, growths) => {
        const sizes = Float64Array.from(start)
        const heap = new SmallestFirst(sizes)
        const left = new Set(sizes.keys())
        for (const item of left) heap.add(item)
        const smallest = () => [...left].sort((a, b) => sizes[a]! - sizes[b]! || a - b)[0] ?? -1
        for (const [item, by] of growths) {
          if (left.has(item)) {
            sizes[item]! += by
            heap.add(item)
          }
          const expected = smallest()
          expect(heap.take()).toBe(expected)
          left.delete(expected)
        }
        while (left.size > 0) {
          const expected = smallest()
          expect(heap.take()).toBe(expected)
          left.delete(expected)
        }
        expect(heap.take()).toBe(-1)
      },
    ),
  )
})
