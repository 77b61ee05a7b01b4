import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

/** What the process says of its environment once the package is loaded. */
const settingAfterLoading = (env: Record<string, string>): string => {
  const index = new URL('./index.ts', import.meta.url).href
  const script = `await import(${JSON.stringify(index)}); console.log(process.env.ORT_DISABLE_TELEMETRY)`
  const { ORT_DISABLE_TELEMETRY: _own, ...inherited } = process.env
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...inherited, ...env },
    encoding: 'utf8',
  }).trim()
}

it('is off for whoever loads the package, unless the environment says something itself', () => {
  expect(settingAfterLoading({})).toBe('1')
  expect(settingAfterLoading({ ORT_DISABLE_TELEMETRY: '0' })).toBe('0')
})
