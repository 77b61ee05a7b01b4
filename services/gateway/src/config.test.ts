import { Value } from 'typebox/value'
import { expect, it } from 'vitest'
import { environment } from './config.ts'

it.each(['', '10.0.0.1', '10.0.0.0/8, ::1', 'fe80::/10', 'loopback,uniquelocal'])('TRUST_PROXY may be %j', (text) => {
  expect(Value.Check(environment.TRUST_PROXY, text)).toBe(true)
})

it.each(['true', 'proxy.example', '10.0.0.1 10.0.0.2', '10.0.0.1,'])('TRUST_PROXY may not be %j', (text) => {
  expect(Value.Check(environment.TRUST_PROXY, text)).toBe(false)
})
