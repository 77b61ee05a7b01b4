import type { Stage } from '@tagloom/contracts'
import { expect, it } from 'vitest'
import { stepOf } from './owed.ts'

const open = (stage: Stage) => ({ stage, endedAt: null })
const ended = (stage: Stage) => ({ stage, endedAt: new Date() })
const [embed, cluster, label] = (['embed', 'cluster', 'label'] as const).map(ended)

it.each([
  ['job.requested', [], false],
  ['embed.batch', [open('embed')], true],
  ['pages.embedded', [embed], false],
  ['pages.embedded', [embed, open('cluster')], false],
  ['clusters.formed', [embed, cluster], false],
  ['label.batch', [embed, cluster, open('label')], true],
  ['labels.proposed', [embed, cluster, open('label')], false],
  ['clusters.tagged', [embed, cluster, label], false],
  ['propagate.batch', [embed, cluster, label, open('propagate')], true],
] as const)('a job waits for %s', (step, stages, openBatches) => {
  expect(stepOf(stages as never, openBatches)).toBe(step)
})
