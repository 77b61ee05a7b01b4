import { type Comparison, metricList, metricValue, type RunRecord } from '@tagloom/contracts'
import type { ComparedTag } from '@tagloom/database'
import { changePercent, verdictOf } from './verdict.ts'

const shownTags = 500

/** Two runs side by side: b as seen from a. */
export function compareRuns(a: RunRecord, b: RunRecord, tags: readonly ComparedTag[]): Comparison {
  const sum = (of: (tag: ComparedTag) => number) => tags.reduce((total, tag) => total + of(tag), 0)
  return {
    a: { job_id: a.job_id, created_at: a.completed_at ?? a.created_at },
    b: { job_id: b.job_id, created_at: b.completed_at ?? b.created_at },
    like_with_like: a.provenance.config_hash === b.provenance.config_hash,
    metrics: metricList.map((metric) => {
      const before = metricValue(a, metric.name)
      const after = metricValue(b, metric.name)
      return {
        metric: metric.name,
        group: metric.group,
        unit: metric.unit,
        a: before,
        b: after,
        difference: before === null || after === null ? null : after - before,
        change_percent: changePercent(before, after),
        verdict: verdictOf(metric, before, after),
      }
    }),
    settings: compareSettings(a, b),
    tags: {
      only_a: tags.filter((tag) => tag.pagesB === 0).length,
      only_b: tags.filter((tag) => tag.pagesA === 0).length,
      both: tags.filter((tag) => tag.pagesA > 0 && tag.pagesB > 0).length,
      page_tags_only_a: sum((tag) => tag.pagesA - tag.pagesBoth),
      page_tags_only_b: sum((tag) => tag.pagesB - tag.pagesBoth),
      page_tags_both: sum((tag) => tag.pagesBoth),
      items: tags.slice(0, shownTags).map((tag) => ({
        label: tag.label,
        pages_a: tag.pagesA,
        pages_b: tag.pagesB,
        pages_both: tag.pagesBoth,
      })),
    },
  }
}

function compareSettings(a: RunRecord, b: RunRecord): Comparison['settings'] {
  const of = ({ provenance }: RunRecord): Record<string, unknown> => ({
    model: provenance.model,
    labeller_model: provenance.labeller_model,
    versions: provenance.versions,
    ...provenance.details,
    ...provenance.options,
  })
  const [before, after] = [of(a), of(b)]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().map((name) => ({
    name,
    a: before[name] ?? null,
    b: after[name] ?? null,
    same: JSON.stringify(before[name] ?? null) === JSON.stringify(after[name] ?? null),
  }))
}
