import { readLines } from '../ground/files.ts'
import type { Judged } from './judged-labels.ts'

/** The labels of one wiki. */
export interface ReadLabels {
  readonly file: string
  readonly labels: readonly Judged[]
}

/**
 * Labels with what spoke for each, and whether a reader found that it names a topic of its cluster, by wiki. Lines are
 * "wiki⇥label⇥coverage⇥precision⇥similarity⇥lift⇥right", right 1 or 0; those that begin with # are comments.
 */
export function readLabels(file: string): ReadLabels[] {
  const lines = readLines(file).flatMap((line, at) => {
    if (line.trim() === '' || line.startsWith('#')) return []
    const [wiki = '', , ...figures] = line.split('\t')
    const [coverage, precision, similarity, lift, right] = figures.map(Number)
    if (
      figures.length !== 5 ||
      figures.some((figure) => !Number.isFinite(Number(figure))) ||
      !/^[01]$/.test(figures[4]!)
    )
      throw new Error(
        `${file}:${at + 1}: expected wiki, label, coverage, precision, similarity, lift and 0 or 1 with tabs between, got "${line}"`,
      )
    const evidence = { coverage: coverage!, precision: precision!, similarity: similarity!, lift: lift! }
    return [{ wiki, judged: { kind: 'keyphrases', evidence, right: right === 1 } as const }]
  })
  return [...Map.groupBy(lines, ({ wiki }) => wiki)].map(([wiki, of]) => ({
    file: wiki,
    labels: of.map(({ judged }) => judged),
  }))
}
