import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { LocalServerError } from './local-server-error.ts'

/** PostgreSQL refuses to run as root; as root we run it as this user. */
export interface UnprivilegedUser {
  name: string
  uid: number
  gid: number
}

/**
 * Undefined when we are not root. As root: `postgres` where the machine has that user, else `nobody`. No user is
 * created: a start leaves nothing behind outside its own folders.
 */
export function unprivilegedUser(passwdFile = '/etc/passwd', uid = process.getuid?.()): UnprivilegedUser | undefined {
  if (uid !== 0) return undefined
  const users = readFileSync(passwdFile, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const entry = users.find((fields) => fields[0] === name)
    if (entry) return { name, uid: Number(entry[2]), gid: Number(entry[3]) }
  }
  throw new LocalServerError(
    'no_unprivileged_user',
    `PostgreSQL does not run as root, and ${passwdFile} has neither a user "postgres" nor "nobody" to run it as. ` +
      'Run this as another user, or set DATABASE_URL to a PostgreSQL of your own.',
  )
}

/** Whether the user may pass through every folder above `path` and into it. Looks at mode bits alone, not at ACLs. */
export function canReach(user: UnprivilegedUser, path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat !== undefined) {
      const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001
      if ((stat.mode & bit) === 0) return false
    }
    if (at === dirname(at)) return true
  }
}
