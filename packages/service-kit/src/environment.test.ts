import { commonEnvironment } from '@tagloom/contracts'
import Type from 'typebox'
import { describe, expect, it } from 'vitest'
import { readEnvironment } from './environment.ts'

const schema = Type.Object({ ...commonEnvironment, EMBED_BATCH: Type.Integer({ default: 64, minimum: 1 }) })
const servers = { DATABASE_URL: 'postgres://u:hidden@h/db', NATS_URL: 'nats://h:4222' }

const messageOf = (env: Record<string, string | undefined>): string => {
  try {
    readEnvironment(schema, env)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('expected it to be refused')
}

describe('readEnvironment', () => {
  it('fills defaults and reads numbers and booleans from text', () => {
    const config = readEnvironment(schema, { ...servers, PORT: '8080', ENABLE_METRICS: 'false', HOST: undefined })
    expect(config).toMatchObject({ PORT: 8080, ENABLE_METRICS: false, EMBED_BATCH: 64, HOST: '127.0.0.1' })
  })

  it('takes an empty variable for one that is not set', () => {
    expect(readEnvironment(schema, { ...servers, PORT: '', LOG_LEVEL: '' })).toMatchObject({
      PORT: 0,
      LOG_LEVEL: 'INFO',
    })
    expect(messageOf({ ...servers, NATS_URL: '' })).toMatch(/NATS_URL: expected a value, got none/)
  })

  it('names every bad variable at once, with what was expected and what came', () => {
    const message = messageOf({ NATS_URL: 'nats://h', PORT: '70000', LOG_LEVEL: 'LOUD', ENABLE_METRICS: 'maybe' })
    expect(message).toMatch(/DATABASE_URL: expected a value, got none \(PostgreSQL/)
    expect(message).toMatch(/PORT: must be <= 65535, got "70000"/)
    expect(message).toMatch(/LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got "LOUD"/)
    expect(message).toMatch(/ENABLE_METRICS: must be boolean, got "maybe"/)
  })

  it('never shows the value of a secret or an address', () => {
    const strict = Type.Object({ DATABASE_URL: Type.String({ pattern: '^postgres:' }) })
    const refused = () => readEnvironment(strict, { DATABASE_URL: 'mysql://u:hidden@h/db' })
    expect(refused).toThrow(/DATABASE_URL: must match pattern "\^postgres:", got \(not shown\)/)
    expect(refused).not.toThrow(/hidden/)
  })

  it('leaves the schema as it was', () => {
    const before = JSON.stringify(schema)
    readEnvironment(schema, servers)
    expect(JSON.stringify(schema)).toBe(before)
  })
})
