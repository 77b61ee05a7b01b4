import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readLabels } from './read-labels.ts'

const folder = mkdtempSync(join(tmpdir(), 'tagloom-read-'))
afterAll(() => rmSync(folder, { recursive: true }))

function written(text: string): string {
  const file = join(folder, 'labels.tsv')
  writeFileSync(file, text)
  return file
}

describe('labels that were read', () => {
  it('are those of each wiki, with what spoke for them', () => {
    const file = written('# a comment\na wiki\tboats\t0.5\t0.4\t0.3\t2\t1\nanother\tski\t0.1\t0.2\t0.3\t-1\t0\n')
    expect(readLabels(file)).toEqual([
      {
        file: 'a wiki',
        labels: [
          {
            kind: 'keyphrases',
            evidence: { coverage: 0.5, precision: 0.4, similarity: 0.3, lift: 2 },
            right: true,
          },
        ],
      },
      {
        file: 'another',
        labels: [
          {
            kind: 'keyphrases',
            evidence: { coverage: 0.1, precision: 0.2, similarity: 0.3, lift: -1 },
            right: false,
          },
        ],
      },
    ])
  })

  it('are refused with their line where a figure is missing or no verdict', () => {
    expect(() => readLabels(written('# a comment\na wiki\tboats\t0.5\t0.4\t0.3\t1\n'))).toThrow(
      /labels\.tsv:2: expected/,
    )
    expect(() => readLabels(written('a wiki\tboats\t0.5\t0.4\t0.3\t2\tyes\n'))).toThrow(/got "a wiki/)
  })
})
