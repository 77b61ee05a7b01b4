import type { ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type StartedServers, startServers } from '@tagloom/local-servers'

/* What a benchmark stands on. It ends with the benchmark, also with one that is ended by a time limit or Ctrl-C. */

const toStop = new Set<() => Promise<void>>()

/** PostgreSQL and NATS in a folder of their own; `stop` ends them and removes it. */
export async function ownServers(): Promise<StartedServers> {
  const home = mkdtempSync(join(tmpdir(), 'tagloom-bench-'))
  // For the user that root runs PostgreSQL as: data that it cannot reach here are put elsewhere, and stay.
  chmodSync(home, 0o755)
  const servers = await startServers({ home, env: process.env })
  let stopped: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await servers.stop()
    rmSync(home, { recursive: true, force: true })
  }
  const stop = (): Promise<void> => {
    stopped ??= end()
    return stopped
  }
  toStop.add(stop)
  return { ...servers, stop }
}

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) {
    child.kill('SIGTERM')
    child.kill('SIGCONT')
  }
})

/** A process that the benchmark starts: told to end when the benchmark does, also where it stands still. */
export function endsWithBench<Child extends ChildProcess>(child: Child): Child {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** A second signal ends the process at once. */
export function stopOnSignals(): void {
  for (const [signal, number] of [['SIGHUP', 1] as const, ['SIGINT', 2] as const, ['SIGTERM', 15] as const]) {
    process.once(signal, async () => {
      await Promise.allSettled([...toStop].map((stop) => stop()))
      process.exit(128 + number)
    })
  }
}
