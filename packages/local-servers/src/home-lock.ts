import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LocalServerError } from './local-server-error.ts'
import { isAlive, startMarkOf } from './process-identity.ts'

/**
 * Takes the folder for this process until the returned function is called. A lock whose process is gone (killed, or
 * its number given to another one since) is taken over.
 */
export function lockHome(home: string): () => void {
  const file = join(home, 'owner')
  const content = `${process.pid} ${startMarkOf(process.pid) ?? ''}`
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, content, { flag: 'wx' })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const owner = livingOwner(file)
      if (owner !== undefined) {
        throw new LocalServerError(
          'home_in_use',
          `Another Tagloom (process ${owner}) runs from ${home}. Use that one, stop it, or set TAGLOOM_HOME to another folder.`,
        )
      }
      rmSync(file, { force: true })
    }
  }
  throw new LocalServerError('home_in_use', `Another Tagloom is starting from ${home} at this moment.`)
}

function livingOwner(file: string): number | undefined {
  try {
    const [pid = '', mark] = readFileSync(file, 'utf8').split(/ (.*)/s)
    return isAlive(Number(pid)) && startMarkOf(Number(pid)) === mark ? Number(pid) : undefined
  } catch {
    return undefined
  }
}
