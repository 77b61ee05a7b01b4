import { readFile } from 'node:fs/promises'
import { Value } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { AlertRules, checkRules, defaultAlertRules, qualityThresholds } from './alert-rules.ts'

describe('alert rules', () => {
  it('takes the default rules', () => {
    expect(Value.Check(AlertRules, defaultAlertRules)).toBe(true)
    expect(checkRules(defaultAlertRules)).toEqual([])
  })

  it('has the three quality thresholds among the defaults, with their values', () => {
    const values = qualityThresholds.map((name) => {
      const rule = defaultAlertRules.find((candidate) => candidate.rule === name)
      return [rule?.metric, rule?.comparison, rule?.firing, rule?.severity]
    })
    expect(values).toEqual([
      ['silhouette_score', 'below', 0.2, 'warning'],
      ['outlier_percentage', 'above', 30, 'warning'],
      ['avg_tags_per_page', 'below', 2, 'info'],
    ])
  })

  it('names the path of each thing that is wrong', () => {
    const [first, second] = defaultAlertRules as [(typeof defaultAlertRules)[0], (typeof defaultAlertRules)[0]]
    const errors = checkRules([
      { ...first, clearing: 0.1 },
      { ...second, rule: first.rule, message: 'is {colour}' },
      { ...first, rule: 'idle', metric: 'days_since_last_run', measure: 'baseline_change_percent' },
    ])
    expect(errors.map((error) => error.path)).toEqual(['/0/clearing', '/1/rule', '/1/message', '/2/measure'])
    expect(errors[0]?.message).toBe('expected at least firing (0.2) for a rule that fires below it, got 0.1')
  })
})

it('has a section of the runbook, and a row of the thresholds, for every default rule', async () => {
  const page = (name: string) => readFile(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8')
  const [runbook, thresholds] = await Promise.all([page('runbook'), page('thresholds')])
  for (const rule of defaultAlertRules) {
    expect(rule.runbook).toBe(`docs/runbook.md#${rule.rule}`)
    expect(runbook).toContain(`\n## ${rule.rule}\n`)
    expect(thresholds).toMatch(new RegExp(`\\| ${rule.rule} +\\| \`${rule.metric}\``))
  }
})
