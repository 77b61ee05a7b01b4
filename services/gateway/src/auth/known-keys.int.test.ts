import { createApiKey, type Database, revokeApiKey } from '@tagloom/database'
import { openTestDatabase } from '@tagloom/database/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hashApiKey, newApiKey } from './api-key.ts'
import { KnownKeys } from './known-keys.ts'

let db: Database
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

async function knownKey() {
  const hash = hashApiKey(newApiKey())
  const { id } = await createApiKey(db, { name: 'known', hash, scopes: ['read'], wikiIds: null })
  const clock = { now: 0 }
  const keys = new KnownKeys(db, () => clock.now)
  expect(keys.remembered(hash)).toBeUndefined()
  expect((await keys.find(hash))?.id).toBe(id)
  return { hash, id, keys, clock }
}

it('remembers a key for five seconds, after which one that another gateway revoked is refused', async () => {
  const { hash, id, keys, clock } = await knownKey()
  expect(await revokeApiKey(db, id)).toBe(true)
  clock.now = 4_999
  expect(keys.remembered(hash)?.id).toBe(id)
  clock.now = 5_000
  expect(keys.remembered(hash)).toBeUndefined()
  expect(await keys.find(hash)).toBeUndefined()
})

it('refuses a key at once that was revoked here', async () => {
  const { hash, id, keys } = await knownKey()
  await revokeApiKey(db, id)
  keys.forget(id)
  expect(keys.remembered(hash)).toBeUndefined()
  expect(await keys.find(hash)).toBeUndefined()
})

it('does not remember a key that is none', async () => {
  const { keys } = await knownKey()
  expect(await keys.find('none')).toBeUndefined()
  expect(keys.remembered('none')).toBeUndefined()
})
