import { expect, test } from 'vitest'
import { agreement, rowsInClusters } from './agreement.ts'

const truth = Int32Array.of(0, 0, 0, 1, 1, 1, 2, 2, 2, 2)
const found = Int32Array.of(0, 0, 1, 1, 1, -1, 2, 2, 0, 2)

test('equals what scikit-learn 1.9.1 gives', () => {
  const { ami, ari, purity } = agreement(truth, found)
  expect(ami).toBeCloseTo(0.36736381548927305, 10)
  expect(ari).toBeCloseTo(0.32098765432098764, 10)
  expect(purity).toBeCloseTo(0.8)
})

test('names of labels do not matter', () => {
  const renamed = found.map((label) => 7 - label)
  expect(agreement(truth, renamed)).toEqual(agreement(truth, found))
})

test('the same partition agrees wholly, one cluster not at all', () => {
  expect(agreement(truth, truth)).toEqual({ ami: expect.closeTo(1), ari: 1, purity: 1 })
  expect(agreement(truth, new Int32Array(10)).ami).toBeCloseTo(0)
})

test('no pages agree', () => {
  expect(agreement(new Int32Array(0), new Int32Array(0))).toEqual({ ami: 1, ari: 1, purity: 1 })
})

test('another number of labels is refused', () => {
  expect(() => agreement(truth, new Int32Array(3))).toThrow('3 found labels for 10 true ones')
})

test('rows in clusters are those with a label from 0', () => {
  expect([...rowsInClusters(Int32Array.of(-1, 0, 3, -1))]).toEqual([1, 2])
})
