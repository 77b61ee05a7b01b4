import { describe, expect, it } from 'vitest'
import { logEvents } from './log-events.ts'
import { metricList } from './record-metrics.ts'
import { loggingReference, metricsReference } from './reference.ts'

describe('the pages that come from the declarations', () => {
  it('docs/metrics.md is up to date and misses no metric', async () => {
    const page = metricsReference()
    for (const metric of metricList) {
      const [, section] = page.split(`\n### ${metric.name}\n`)
      for (const told of [metric.definition, metric.unit, metric.formula, metric.taken, String(metric.example)])
        expect(section?.split('\n### ')[0], `${metric.name}: ${told}`).toContain(told)
    }
    await expect(page).toMatchFileSnapshot('../../../docs/metrics.md')
  })

  it('docs/logging.md is up to date and misses no event', async () => {
    const page = loggingReference()
    for (const [name, event] of Object.entries(logEvents)) {
      const [, section] = page.split(`\n### ${name}\n`)
      expect(section, name).toContain(`**${event.level}**`)
      for (const field of Object.keys(event.fields)) expect(section?.split('\n### ')[0], name).toContain(`\`${field}\``)
    }
    await expect(page).toMatchFileSnapshot('../../../docs/logging.md')
  })
})
