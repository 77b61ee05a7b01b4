import { open, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const BEAT_MS = 2_000
const STALE_MS = 20_000

/**
 * Runs `work` while no other process does the same on this folder. The lock is a file that is touched every two
 * seconds; one that was not for twenty is a dead process's, and is taken over.
 */
export async function withFolderLock<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  const file = join(folder, 'lock')
  while (!(await take(file))) await pause(200)
  const beat = setInterval(() => void utimes(file, new Date(), new Date()).catch(() => {}), BEAT_MS)
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(file, { force: true })
  }
}

async function take(file: string): Promise<boolean> {
  try {
    await (await open(file, 'wx')).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const touched = await stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
  if (touched !== undefined && Date.now() - touched > STALE_MS) await rm(file, { force: true })
  return false
}
