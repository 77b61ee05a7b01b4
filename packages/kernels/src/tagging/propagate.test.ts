import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PageToTag, pageTagConfidence, type TagsOfClusters, tagBackground, tagsOfPage } from './propagate.ts'

const dims = 2
const of: TagsOfClusters = {
  byCluster: new Map([
    [0, [{ tag: 0, confidence: 0.9 }]],
    [
      1,
      [
        { tag: 0, confidence: 0.5 },
        { tag: 1, confidence: 0.8 },
      ],
    ],
  ]),
  tagVectors: Float32Array.from([1, 0, 0, 1, 0.6, 0.8]),
  dims,
  background: { mean: Float32Array.from([0.2, 0.2, 0.2]), spread: Float32Array.from([0.15, 0.15, 0.15]) },
}
const options = { threshold: 0.35, maxTags: 8 }
const page = (more: Partial<PageToTag> = {}): PageToTag => ({
  row: 0,
  memberships: [{ cluster: 0, strength: 1 }],
  forbidden: new Set(),
  ...more,
})
const near = Float32Array.from([1, 0])

describe('tags of a page', () => {
  it('come from its clusters with the tag and from similarity without one', () => {
    const { tags } = tagsOfPage(page(), near, of, options)
    expect(tags[0]).toMatchObject({ tag: 0, origin: 'cluster', cluster: 0 })
    const outlier = tagsOfPage(page({ memberships: [] }), near, of, options)
    expect(outlier.tags).toEqual([expect.objectContaining({ tag: 0, origin: 'similarity', cluster: null })])
  })

  it('are none for an outlier that is near to no tag, and for a page without text in no cluster', () => {
    const far = Float32Array.from([-1, 0])
    expect(tagsOfPage(page({ memberships: [] }), far, of, options).tags).toEqual([])
    expect(tagsOfPage(page({ row: -1, memberships: [] }), near, of, options).tags).toEqual([])
  })

  it('are surer the more layers agree', () => {
    const one = tagsOfPage(page(), near, of, options).tags[0]!
    const two = tagsOfPage(
      page({
        memberships: [
          { cluster: 0, strength: 1 },
          { cluster: 1, strength: 1 },
        ],
      }),
      near,
      of,
      options,
    ).tags[0]!
    expect(two.confidence).toBeGreaterThan(one.confidence)
  })

  it('never hold one that a person rejected, which is counted as a conflict', () => {
    const found = tagsOfPage(page({ forbidden: new Set([0]) }), near, of, options)
    expect(found.tags.map(({ tag }) => tag)).not.toContain(0)
    expect(found.conflicts).toBe(1)
  })

  it('are none on a locked page, each withheld one a conflict', () => {
    expect(tagsOfPage(page({ forbidden: true }), near, of, options)).toEqual({ tags: [], conflicts: 1 })
  })

  it('keep to the limit and the threshold, surest first', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 3 }), (threshold, maxTags) => {
        const { tags } = tagsOfPage(page({ memberships: [{ cluster: 1, strength: 1 }] }), near, of, {
          threshold,
          maxTags,
        })
        expect(tags.length).toBeLessThanOrEqual(maxTags)
        expect(tags.every(({ confidence }) => confidence >= threshold)).toBe(true)
        expect(tags.map(({ confidence }) => confidence)).toEqual(
          tags.map((t) => t.confidence).toSorted((a, b) => b - a),
        )
      }),
    )
  })
})

describe('confidence', () => {
  it('rises with membership and with similarity', () => {
    expect(pageTagConfidence(1, 0)).toBeGreaterThan(pageTagConfidence(0.5, 0))
    expect(pageTagConfidence(0.5, 2)).toBeGreaterThan(pageTagConfidence(0.5, 0))
  })
})

describe('background', () => {
  it('is the mean and deviation of each tag over pages that have text', () => {
    const { mean, spread } = tagBackground(Float32Array.from([1, 0]), Float32Array.from([1, 0, 0, 0, 0, 1]), dims)
    expect(mean[0]).toBeCloseTo(0.5)
    expect(spread[0]).toBeCloseTo(0.5)
  })
})
