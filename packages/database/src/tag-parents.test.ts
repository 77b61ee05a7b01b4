import fc from 'fast-check'
import { expect, test } from 'vitest'
import { standingParents, type TagInTree } from './tag-parents.ts'

const tag = (id: number, parentId: number | null, more: Partial<TagInTree> = {}): TagInTree => ({
  id,
  parentId,
  status: 'proposed',
  mergedInto: null,
  ...more,
})
const merged = (into: number) => ({ status: 'merged', mergedInto: into }) as const
const rejected = { status: 'rejected' } as const
const parentOf = (id: number, ...tags: TagInTree[]) => standingParents(tags).get(id) ?? null

test('a parent in use is that', () => {
  expect(parentOf(1, tag(1, 2), tag(2, null, { status: 'approved' }))).toBe(2)
  expect(parentOf(1, tag(1, 2))).toBe(2)
})

test('a merged parent is what it went into', () => {
  expect(parentOf(1, tag(1, 2), tag(2, null, merged(3)), tag(3, null))).toBe(3)
})

test('in the place of a rejected parent comes its own, or none', () => {
  expect(parentOf(1, tag(1, 2), tag(2, 3, rejected), tag(3, null))).toBe(3)
  expect(parentOf(1, tag(1, 2), tag(2, null, rejected))).toBe(null)
  expect(parentOf(1, tag(1, 2), tag(2, 1, rejected))).toBe(null)
  expect(parentOf(1, tag(1, 2), tag(2, null, merged(3)), tag(3, 4, rejected), tag(4, null))).toBe(4)
})

test('in the place of a parent that was merged into the tag itself comes what stood above it', () => {
  expect(parentOf(1, tag(1, 2), tag(2, 3, merged(1)), tag(3, null))).toBe(3)
  expect(parentOf(1, tag(1, 2), tag(2, null, merged(1)))).toBe(null)
})

test('a tag that is not in use has no parent', () => {
  expect(parentOf(1, tag(1, 2, merged(3)), tag(2, null), tag(3, null))).toBe(null)
  expect(parentOf(1, tag(1, 2, rejected), tag(2, null))).toBe(null)
})

test('whatever was decided, parents are in use and no circle comes of them', () => {
  const some = fc.nat(7)
  const any = fc.record({
    parentId: fc.option(some),
    state: fc.oneof(fc.constant('proposed' as const), fc.constant('rejected' as const), some),
  })
  fc.assert(
    fc.property(fc.array(any, { minLength: 8, maxLength: 8 }), (raw) => {
      const isRoot = (id: number) => typeof raw[id]!.state === 'string'
      const tags = raw.map(({ parentId, state }, id) =>
        typeof state === 'string' || !isRoot(state)
          ? tag(id, parentId, { status: state === 'rejected' ? 'rejected' : 'proposed' })
          : tag(id, parentId, merged(state)),
      )
      const parents = standingParents(tags)
      for (const [child, parent] of parents) {
        expect([tags[child]!.status, tags[parent]!.status]).toEqual(['proposed', 'proposed'])
        let above: number | undefined = parent
        for (let steps = 0; above !== undefined; above = parents.get(above)) expect(++steps).toBeLessThan(9)
      }
    }),
  )
})
