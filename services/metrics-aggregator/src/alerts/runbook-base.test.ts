import { type AlertRule, defaultAlertRules } from '@tagloom/contracts'
import { describe, expect, it } from 'vitest'
import { parseRunbookBase, withRunbookAt } from './runbook-base.ts'

const rule = defaultAlertRules[0] as AlertRule
const addressAt = (base: string, runbook = rule.runbook) =>
  withRunbookAt(parseRunbookBase(base), { ...rule, runbook: runbook as string }).runbook

describe('the address of a runbook', () => {
  it('is below RUNBOOK_BASE_URL, with or without a slash at its end', () => {
    const whole = `https://example.org/tagloom/docs/runbook.md#${rule.rule}`
    expect(addressAt('https://example.org/tagloom')).toBe(whole)
    expect(addressAt('https://example.org/tagloom/')).toBe(whole)
  })

  it('stays as it is without one, and where a rule names a whole address', () => {
    expect(addressAt('')).toBe(`docs/runbook.md#${rule.rule}`)
    expect(addressAt('https://example.org/', 'https://wiki.example.org/x#y')).toBe('https://wiki.example.org/x#y')
    expect(addressAt('https://example.org/', 'http://[')).toBe('http://[')
  })
})

it.each([
  'example.org/docs',
  'ftp://example.org/',
  'https://',
  'https://a:b@example.org/',
  'https://example.org/?page=',
])('refuses %s as RUNBOOK_BASE_URL', (text) =>
  expect(() => parseRunbookBase(text)).toThrow(/^RUNBOOK_BASE_URL: expected/),
)
