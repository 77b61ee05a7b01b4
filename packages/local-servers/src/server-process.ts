import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { endProcess, whenGone } from './process-identity.ts'
import type { UnprivilegedUser } from './unprivileged-user.ts'

export interface ServerCommand {
  command: string
  args: string[]
  /** stdout and stderr go straight to this file: nothing breaks when this process dies first. */
  logFile: string
  user: UnprivilegedUser | undefined
}

/** One running server. Its own process group, so that a Ctrl-C at the terminal reaches only the one who starts it. */
export class ServerProcess {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #logFile: string
  readonly #endWithUs: () => void
  exited = false
  readonly whenExited: Promise<void>

  static async spawn(command: ServerCommand): Promise<ServerProcess> {
    const log = openSync(command.logFile, 'w', 0o644)
    try {
      const child = spawn(command.command, command.args, {
        detached: true,
        stdio: ['ignore', log, log],
        ...(command.user && { uid: command.user.uid, gid: command.user.gid }),
      })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', reject)
      })
      return new ServerProcess(child, command.logFile)
    } finally {
      closeSync(log)
    }
  }

  private constructor(child: ChildProcess, logFile: string) {
    this.pid = child.pid!
    this.#child = child
    this.#logFile = logFile
    this.#endWithUs = () => void child.kill('SIGTERM')
    process.once('exit', this.#endWithUs)
    this.whenExited = new Promise((resolve) => {
      child.once('exit', () => {
        this.exited = true
        process.removeListener('exit', this.#endWithUs)
        resolve()
      })
    })
  }

  async end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    if (this.exited) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    await endProcess(this.pid, signal, graceMs)
    await gone
  }

  async kill(): Promise<void> {
    if (this.exited) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.kill('SIGKILL')
    await gone
    await whenGone(this.pid, 5_000)
  }

  logTail(lines = 12): string {
    try {
      return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    } catch {
      return '(no log)'
    }
  }
}
