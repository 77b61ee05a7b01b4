import { expect, it } from 'vitest'
import { isDatabaseAway } from './database-away.ts'

const withCode = (code: string, cause?: Error) => Object.assign(new Error('x', { cause }), { code })

it('knows a server that is away, however deep the cause lies', () => {
  for (const code of ['ECONNREFUSED', '57P01', '08006', 'database_unavailable'])
    expect(isDatabaseAway(withCode(code))).toBe(true)
  expect(isDatabaseAway(new Error('Failed query', { cause: new Error('Connection terminated unexpectedly') }))).toBe(
    true,
  )
})

it('takes a refusal for what it is', () => {
  for (const code of ['23505', '42P01', '40001', 'rejected']) expect(isDatabaseAway(withCode(code))).toBe(false)
  expect(isDatabaseAway('ECONNREFUSED')).toBe(false)
})
