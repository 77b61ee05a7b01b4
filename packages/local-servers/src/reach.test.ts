import { expect, it } from 'vitest'
import { checkPostgres } from './reach.ts'

it.each(['nonsense', 'http://127.0.0.1:5432/x', 'postgres://', 'postgres://u:secret@[/x'])(
  'the DATABASE_URL %s is refused with what is expected, before anybody is asked for it, and without its password',
  async (url) => {
    const refused = checkPostgres(url)
    await expect(refused).rejects.toThrow(/is no address, expected postgres:\/\/user:password@host:port\/database/)
    await expect(refused).rejects.not.toThrow(/secret/)
  },
)
