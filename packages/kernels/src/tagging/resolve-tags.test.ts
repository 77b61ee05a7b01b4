import { tagForm } from '@tagloom/contracts'
import { describe, expect, it } from 'vitest'
import { bundledMeaning } from './meaning-cosines.ts'
import { type ClusterToTag, resolveTags, type ToResolve, type VocabularyTag } from './resolve-tags.ts'

const vectors: Record<string, number[]> = {
  sailing: [1, 0, 0],
  boats: [0.8, 0.6, 0],
  yachting: [0.98, 0.19, 0],
  cooking: [0, 1, 0],
  garden: [0, 0, 1],
}
const vectorOf = (label: string) => Float32Array.from(vectors[label] ?? [0.57735, 0.57735, 0.57735])
const cluster = (no: number, labels: string[], more: Partial<ClusterToTag> = {}): ClusterToTag => ({
  no,
  layer: 0,
  parentNo: null,
  proposals: labels.map((label) => ({ label, confidence: 0.7, method: 'keyphrases' })),
  shares: new Map(),
  ...more,
})
const tag = (
  id: number,
  label: string,
  status: VocabularyTag['status'],
  mergedInto: number | null = null,
  parentId: number | null = null,
): VocabularyTag => ({
  id,
  label,
  form: tagForm(label),
  status,
  mergedInto,
  mergedByPerson: false,
  parentId,
  joinedOnce: false,
})
const resolve = (clusters: ClusterToTag[], vocabulary: VocabularyTag[], more: Partial<ToResolve> = {}) => {
  const of = {
    clusters,
    vocabulary,
    vectorOf,
    meaning: bundledMeaning,
    mode: 'prefer',
    tagsPerCluster: 3,
    ...more,
  } as ToResolve
  const centroids =
    more.centroids ?? Float32Array.from(clusters.flatMap((_, k) => [k % 3 === 0, k % 3 === 1, k % 3 === 2].map(Number)))
  const resolution = resolveTags({ ...of, centroids })
  const labelOf = (ref: { id: number } | { newTag: number }) =>
    'id' in ref ? vocabulary.find(({ id }) => id === ref.id)!.label : resolution.newTags[ref.newTag]!.label
  return {
    ...resolution,
    of: (no: number) => resolution.clusterTags.filter((t) => t.clusterNo === no).map((t) => labelOf(t.tag)),
    labelOf,
  }
}

describe('resolving proposals', () => {
  it('uses the vocabulary where it fits and makes no new tag there', () => {
    const found = resolve(
      [cluster(0, ['yachting']), cluster(1, ['cooking']), cluster(2, [])],
      [tag(1, 'sailing', 'approved')],
    )
    expect(found.of(0)).toEqual(['sailing'])
    expect(found.of(1)).toEqual(['cooking'])
    expect(found.newTags.map(({ label }) => label)).toEqual(['cooking'])
  })

  it('makes one new tag where none fits once the vocabulary covers half of the clusters, and more where it covers few', () => {
    const three = ['cooking', 'garden', 'boats']
    const covered = resolve([cluster(0, ['yachting']), cluster(1, three)], [tag(1, 'sailing', 'approved')])
    expect([covered.of(0), covered.of(1)]).toEqual([['sailing'], ['cooking']])
    const bare = resolve([cluster(0, three), cluster(1, three)], [])
    expect(bare.of(0)).toEqual(three)
  })

  it('counts what an earlier run proposed as new, so that a second run adds nothing', () => {
    const clusters = [cluster(0, ['yachting']), cluster(1, ['cooking', 'garden'])]
    const found = resolve(clusters, [tag(1, 'sailing', 'approved'), tag(2, 'cooking', 'proposed')])
    expect(found.of(1)).toEqual(['cooking'])
    expect(found.newTags).toEqual([])
  })

  it('takes a proposal that is of the vocabulary beside the new one', () => {
    const clusters = [cluster(0, ['yachting']), cluster(1, ['cooking', 'garden', 'boats'])]
    const found = resolve(clusters, [tag(1, 'sailing', 'approved'), tag(2, 'boats', 'approved')], {
      centroids: Float32Array.from([1, 0, 0, 0, 0, -1]),
    })
    expect(found.of(1)).toEqual(['cooking', 'boats'])
  })

  it('makes no new tag in mode only, and looks past the vocabulary in mode free', () => {
    const clusters = [cluster(0, ['garden']), cluster(1, ['cooking']), cluster(2, [])]
    const vocabulary = [tag(1, 'sailing', 'approved')]
    expect(resolve(clusters, vocabulary, { mode: 'only' }).newTags).toEqual([])
    expect(resolve(clusters, vocabulary, { mode: 'free' }).of(0)).toEqual(['garden'])
  })

  it.each(['only', 'prefer'] as const)(
    'gives the tags of the vocabulary that a language model named, in mode %s',
    (mode) => {
      const named = { proposals: [{ label: 'Gardens', confidence: 0.45, method: 'llm' }] } as const
      const vocabulary = [tag(1, 'sailing', 'approved'), tag(2, 'garden', 'approved'), tag(3, 'cooking', 'rejected')]
      const found = resolve([cluster(0, [], named), cluster(1, [])], vocabulary, { mode })
      expect(found.of(0)).toEqual(['sailing', 'garden'])
      expect(found.clusterTags[1]).toMatchObject({ confidence: 0.45, method: 'llm', rank: 1 })
      const rejected = { proposals: [{ label: 'cooking', confidence: 0.9, method: 'llm' }] } as const
      expect(resolve([cluster(0, [], rejected)], vocabulary, { mode }).of(0)).toEqual([])
    },
  )

  it('lets no rejected tag come back, by its form or its meaning', () => {
    const found = resolve([cluster(0, ['sailing', 'yachting', 'boats'])], [tag(1, 'sailing', 'rejected')], {
      mode: 'free',
    })
    expect(found.of(0)).toEqual(['boats'])
  })

  it('drops no tag for a rejected one of another version, nor what is nearer to a living tag', () => {
    const near = (label: string) =>
      Float32Array.from({ 'TLS 1.2': [1, 0, 0], 'TLS 1.3': [0.95, 0.31, 0] }[label] ?? [0, 0, 1])
    const versions = resolve([cluster(0, ['TLS 1.3'])], [tag(1, 'TLS 1.2', 'rejected')], {
      mode: 'free',
      vectorOf: near,
    })
    expect(versions.of(0)).toEqual(['TLS 1.3'])
    const between: Record<string, number[]> = { mail: [1, 0, 0], letter: [0.9, 0.436, 0], post: [0.98, 0.199, 0] }
    const found = resolve([cluster(0, ['post'])], [tag(1, 'mail', 'approved'), tag(2, 'letter', 'rejected')], {
      mode: 'free',
      vectorOf: (label) => Float32Array.from(between[label]!),
    })
    expect(found.of(0)).toEqual(['mail'])
  })

  it('merges no versions, and nothing of a script that the model cannot read', () => {
    const versions = { 'TLS 1.2': [1, 0, 0], 'TLS 1.3': [0.95, 0.31, 0] } as Record<string, number[]>
    const options = {
      mode: 'free',
      vectorOf: (label: string) => Float32Array.from(versions[label] ?? [0, 0, 0]),
    } as const
    expect(resolve([cluster(0, ['TLS 1.2']), cluster(1, ['TLS 1.3'])], [], options).merged).toEqual([])
    const thai = resolve([cluster(0, ['อาหาร']), cluster(1, ['ภาษา'])], [tag(1, 'ประเทศไทย', 'rejected')], options)
    expect([thai.of(0), thai.of(1), thai.merged]).toEqual([['อาหาร'], ['ภาษา'], []])
  })

  it('takes what means the same as a tag that a person merged for its target, and not what was merged by meaning', () => {
    const clusters = [cluster(0, ['yachting'])]
    const merged = (mergedByPerson: boolean) => ({ ...tag(2, 'sailing', 'merged', 1), mergedByPerson })
    expect(resolve(clusters, [tag(1, 'garden', 'approved'), merged(true)], { mode: 'free' }).of(0)).toEqual(['garden'])
    expect(resolve(clusters, [tag(1, 'garden', 'approved'), merged(false)], { mode: 'free' }).of(0)).toEqual([
      'yachting',
    ])
  })

  it('takes the target of a merged tag', () => {
    const found = resolve([cluster(0, ['boats'])], [tag(1, 'garden', 'approved'), tag(2, 'boats', 'merged', 1)], {
      mode: 'free',
    })
    expect(found.of(0)).toEqual(['garden'])
    expect(found.newTags).toEqual([])
  })

  it('drops what was merged into a tag that is rejected now', () => {
    const found = resolve([cluster(0, ['boats'])], [tag(1, 'garden', 'rejected'), tag(2, 'boats', 'merged', 1)], {
      mode: 'free',
    })
    expect(found.of(0)).toEqual([])
  })

  it('merges new labels that mean the same and remembers it', () => {
    const found = resolve([cluster(0, ['sailing']), cluster(1, ['yachting'])], [], { mode: 'free' })
    expect(found.of(1)).toEqual(['sailing'])
    expect(found.merged).toEqual([{ label: 'yachting', form: tagForm('yachting'), into: { newTag: 0 } }])
  })

  it('takes spellings with and without a space for one tag', () => {
    const found = resolve([cluster(0, ['data base']), cluster(1, ['database'])], [], { mode: 'free' })
    expect(found.newTags).toHaveLength(1)
  })

  it('takes the same letters for one tag only where their meanings are near, and the nearest of them', () => {
    const known: Record<string, number[]> = {
      resign: [1, 0, 0],
      're-sign': [0.3, 0.954, 0],
      'res ign': [0.8, 0, 0.6],
      're sig n': [0.85, 0.1, 0.517],
    }
    const of = (label: string, ...vocabulary: VocabularyTag[]) =>
      resolve([cluster(0, [label])], vocabulary, {
        mode: 'free',
        vectorOf: (one) => Float32Array.from(known[one] ?? [0, 0, 0]),
      })
    expect(of('re-sign', tag(1, 'resign', 'rejected')).of(0)).toEqual(['re-sign'])
    expect(of('res ign', tag(1, 'resign', 'rejected')).of(0)).toEqual([])
    expect(of('re sig n', tag(1, 'resign', 'approved'), tag(2, 'res ign', 'rejected')).of(0)).toEqual([])
    // Of a script that the model cannot read
    expect(of('ภาษา ไทย', tag(1, 'ภาษาไทย', 'approved')).of(0)).toEqual(['ภาษาไทย'])
  })

  it('joins tags that are spellings of one thing: to the approved one, of equals to the oldest', () => {
    const near = (label: string) => Float32Array.from(label === 'e-mail' ? [0.8, 0.6, 0] : [1, 0, 0])
    const join = (...vocabulary: VocabularyTag[]) => {
      const found = resolve([cluster(0, ['Emails'])], vocabulary, { mode: 'free', vectorOf: near })
      return [found.joined, found.of(0)]
    }
    const [mail, email] = [tag(1, 'e-mail', 'approved'), tag(2, 'Email', 'approved')]
    expect(join(mail, email)).toEqual([[{ id: 2, into: 1 }], ['e-mail']])
    expect(join({ ...mail, status: 'proposed' }, email)).toEqual([[{ id: 1, into: 2 }], ['Email']])
    expect(join(mail, { ...email, joinedOnce: true })).toEqual([[], ['Email']])
    expect(join({ ...mail, joinedOnce: true }, email)).toEqual([[], ['Email']])
    expect(join({ ...mail, status: 'rejected' }, email)).toEqual([[], ['Email']])
  })

  it('takes what was merged into a tag that is joined, and what stood below it, along', () => {
    const vocabulary = [
      tag(1, 'e-mail', 'approved'),
      tag(2, 'Email', 'approved', null, 1),
      tag(3, 'garden', 'merged', 2),
      tag(4, 'boats', 'proposed', null, 2),
    ]
    const vectorOf = (label: string) => Float32Array.from(label === 'boats' ? [0, 1, 0] : [1, 0, 0])
    const clusters = [cluster(0, ['garden', 'boats'], { parentNo: 1 }), cluster(1, ['e-mail'], { layer: 1 })]
    const found = resolve(clusters, vocabulary, {
      mode: 'free',
      vectorOf,
      centroids: Float32Array.from([1, 0, 0, 1, 0, 0]),
    })
    expect([found.joined, found.of(0), found.parents]).toEqual([[{ id: 2, into: 1 }], ['e-mail', 'boats'], []])
  })

  it('keeps numbers apart that are one only without their points', () => {
    const found = resolve([cluster(0, ['Version 1.10']), cluster(1, ['Version 11.0'])], [], {
      mode: 'free',
      vectorOf: (label) => Float32Array.from(label.endsWith('11.0') ? [1, 0, 0] : [0, 1, 0]),
    })
    expect(found.newTags.map(({ label }) => label)).toEqual(['Version 1.10', 'Version 11.0'])
  })

  it('gives the same tags when its own result is the vocabulary', () => {
    const clusters = [cluster(0, ['sailing', 'garden']), cluster(1, ['yachting', 'cooking'])]
    const first = resolve(clusters, [])
    const vocabulary = [
      ...first.newTags.map(({ label }, k) => tag(k + 1, label, 'proposed')),
      ...first.merged.map(({ label, into }, k) =>
        tag(k + 50, label, 'merged', 'newTag' in into ? into.newTag + 1 : into.id),
      ),
    ]
    const second = resolve(clusters, vocabulary)
    expect(second.newTags).toEqual([])
    for (const no of [0, 1]) expect(second.of(no)).toEqual(first.of(no))
  })

  it('makes the first tag of an upper cluster the parent of those below', () => {
    const clusters = [cluster(0, ['boats'], { parentNo: 1 }), cluster(1, ['sailing'], { layer: 1 })]
    const found = resolve(clusters, [], { mode: 'free', centroids: Float32Array.from([1, 0, 0, 1, 0, 0]) })
    expect(found.parents.map(({ tag: t, parent }) => [found.labelOf(t), found.labelOf(parent)])).toEqual([
      ['boats', 'sailing'],
    ])
  })

  it('makes no circle with the parents of earlier runs, and keeps those', () => {
    const clusters = [cluster(0, ['boats'], { parentNo: 1 }), cluster(1, ['sailing'], { layer: 1 })]
    const stored = (sailing: number | null, boats: number | null) =>
      resolve(clusters, [tag(1, 'sailing', 'proposed', null, sailing), tag(2, 'boats', 'proposed', null, boats)], {
        mode: 'free',
      }).parents
    expect(stored(null, null)).toEqual([{ tag: { id: 2 }, parent: { id: 1 } }])
    expect(stored(2, null)).toEqual([])
    expect(stored(null, 1)).toEqual([])
  })

  it('cost the product of tags and clusters, not its multiple by the clusters', () => {
    const clusters = Array.from({ length: 1000 }, (_, no) => cluster(no, []))
    const vocabulary = Array.from({ length: 2_000 }, (_, k) => tag(k, `tag ${k}`, 'approved'))
    const started = performance.now()
    expect(resolve(clusters, vocabulary, { mode: 'only' }).clusterTags).toEqual([])
    expect(performance.now() - started).toBeLessThan(8_000)
  })
})
