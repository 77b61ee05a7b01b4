import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reachablePostgres } from './postgres-binaries.ts'
import { canReach, unprivilegedUser } from './unprivileged-user.ts'

describe('the user PostgreSQL runs as', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'unprivileged-'))
    chmodSync(folder, 0o755)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function passwd(...lines: string[]): string {
    const file = join(folder, 'passwd')
    writeFileSync(file, lines.join('\n'))
    return file
  }
  const nobody = 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin'

  it('is ourselves unless we are root', () => {
    expect(unprivilegedUser('/etc/passwd', 1000)).toBeUndefined()
  })

  it('is postgres where there is one, else nobody', () => {
    const both = passwd('root:x:0:0::/root:/bin/sh', nobody, 'postgres:x:101:104:::')
    expect(unprivilegedUser(both, 0)).toEqual({ name: 'postgres', uid: 101, gid: 104 })
    expect(unprivilegedUser(passwd(nobody), 0)).toEqual({ name: 'nobody', uid: 65534, gid: 65534 })
  })

  it('is asked for in words when the machine has neither', () => {
    expect(() => unprivilegedUser(passwd('root:x:0:0::/root:/bin/sh'), 0)).toThrow(
      /neither a user "postgres" nor "nobody"/,
    )
  })

  it('gets a copy of the programs when a folder above them is closed to it, made once', () => {
    const user = { name: 'nobody', uid: 65_534, gid: 65_534 }
    const bin = join(folder, 'private/native/bin')
    mkdirSync(bin, { recursive: true })
    const installed = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
    for (const file of Object.values(installed)) writeFileSync(file, '')
    const cache = join(folder, 'cache')
    expect(reachablePostgres(installed, user, cache)).toBe(installed)
    chmodSync(join(folder, 'private'), 0o700)
    const copied = reachablePostgres(installed, user, cache)
    expect(copied.postgres.startsWith(cache)).toBe(true)
    expect(canReach(user, copied.postgres.replace(/\/postgres$/, ''))).toBe(true)
    expect(reachablePostgres(installed, user, cache)).toEqual(copied)
    expect(reachablePostgres(installed, undefined, cache)).toBe(installed)
  })
})
