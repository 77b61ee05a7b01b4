import type { AlertRule } from '@tagloom/contracts'
import { EnvironmentError } from '@tagloom/service-kit'

/**
 * Reads RUNBOOK_BASE_URL. '' where there is none: addresses of rules stay as they are written.
 * @throws when it is not an http or https address
 */
export function parseRunbookBase(text: string): string {
  if (text === '') return ''
  const url = URL.parse(text)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new EnvironmentError(
      `RUNBOOK_BASE_URL: expected an http or https address like https://example.org/tagloom/, got "${text}"`,
    )
  if (url.username || url.password)
    throw new EnvironmentError('RUNBOOK_BASE_URL: expected no user name or password in it')
  if (url.search || url.hash) throw new EnvironmentError(`RUNBOOK_BASE_URL: expected no ? or # in it, got "${text}"`)
  return url.href.endsWith('/') ? url.href : `${url.href}/`
}

/** The rule with the address that people can open. An address of the rule's own that is whole already stays. */
export function withRunbookAt(base: string, rule: AlertRule): AlertRule {
  const whole = base && rule.runbook !== undefined ? URL.parse(rule.runbook, base)?.href : undefined
  return whole === undefined ? rule : { ...rule, runbook: whole }
}
