import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** True when the process exists, whoever owns it; a zombie counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  try {
    return !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return !existsSync('/proc/self/stat')
  }
}

/** The command line of a living process, words joined by spaces; undefined when it cannot be read. */
function commandLineOf(pid: number): string | undefined {
  try {
    if (existsSync('/proc/self/cmdline'))
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 }).trim()
  } catch {
    return undefined
  }
}

/** When the process started, in whatever unit the system gives: only equality means anything. */
export function startMarkOf(pid: number): string | undefined {
  try {
    if (existsSync('/proc/self/stat')) {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 }).trim()
  } catch {
    return undefined
  }
}

/** Waits until the process is gone; false when it still lives after `timeoutMs`. */
export async function whenGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false
    await delay(20)
  }
  return true
}

/** Sends the signal, waits, then SIGKILL. Ends exactly this process, by its id. */
export async function endProcess(pid: number, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  for (const [attempt, waitMs] of [
    [signal, graceMs],
    ['SIGKILL', 5_000],
  ] as const) {
    try {
      process.kill(pid, attempt)
    } catch {
      return
    }
    if (await whenGone(pid, waitMs)) return
  }
}

/**
 * Ends what an earlier, killed start left behind. The process named by the pid file is ours when its command line
 * holds `mark` (an absolute path of our own data); otherwise the number was given to somebody else since, and is left
 * alone.
 */
export async function endRecorded(pidFile: string, mark: string, signal: NodeJS.Signals): Promise<boolean> {
  const pid = readPid(pidFile)
  if (pid === undefined || !isAlive(pid)) return false
  if (!commandLineOf(pid)?.includes(mark)) return false
  await endProcess(pid, signal, 10_000)
  return true
}

function readPid(pidFile: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10)
    return Number.isInteger(pid) && pid > 1 ? pid : undefined
  } catch {
    return undefined
  }
}
