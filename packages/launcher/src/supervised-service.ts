import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { misconfiguredExitCode } from '@tagloom/contracts'

const DIE_WITH_PARENT = join(import.meta.dirname, 'die-with-parent.mjs')

export interface ServiceSpec {
  /** "tagger", or "tagger-2" for a second one: names the log file. */
  name: string
  /**
   * Absolute path of the service's main.ts, which sends the word "listening" to its parent once it has its port, and before that
   * `{ starting }` as long as something takes its time, as the download of a model does.
   */
  main: string
  /** The port that it listens on, at 127.0.0.1. */
  port: number
  env: Record<string, string | undefined>
}

export interface RestartPolicy {
  firstDelayMs: number
  longestDelayMs: number
  /** A process that lived this long was healthy: the count of deaths begins anew. */
  healthyAfterMs: number
  /** Deaths in a row after which it is given up. */
  mostDeaths: number
}

export type ServiceEvents = {
  /** @param what the start takes its time for, where that is another than the last time */
  starting(service: string, what: string): void
  restarting(service: string, why: string, delayMs: number): void
  /** @param how often it ended, and how the last time */
  gaveUp(service: string, how: string, logTail: string): void
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`)

/** One service process that is started again when it dies, later each time, and given up when it keeps dying or says that its variables are wrong. */
export class SupervisedService {
  readonly spec: ServiceSpec
  readonly logFile: string
  readonly #policy: RestartPolicy
  readonly #events: ServiceEvents
  readonly #stopping = new AbortController()
  #child: ChildProcess | undefined
  #deaths = 0
  #startedAt = 0
  #isListening = false
  #starting: string | undefined
  #saidStartingAt = 0

  constructor(spec: ServiceSpec, logFolder: string, policy: RestartPolicy, events: ServiceEvents) {
    this.spec = spec
    this.logFile = join(logFolder, `${spec.name}.log`)
    this.#policy = policy
    this.#events = events
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    const log = openSync(this.logFile, 'a', 0o644)
    // detached: a process group of its own, so that Ctrl-C at the terminal leaves the order of stopping to us.
    const child = fork(this.spec.main, [], {
      execArgv: ['--import', DIE_WITH_PARENT],
      stdio: ['ignore', log, log, 'ipc'],
      env: this.spec.env,
      detached: true,
    })
    closeSync(log)
    this.#child = child
    this.#startedAt = Date.now()
    this.#isListening = false
    child.on('message', (news) => {
      if (this.#child !== child) return
      if (news === 'listening') this.#isListening = true
      else this.#hear(news as { starting?: unknown } | null)
    })
    let ended = false
    const died = (why: string, code?: number | null): void => {
      if (ended) return
      ended = true
      this.#child = undefined
      void this.#afterDeath(why, code)
    }
    child.once('error', (error) => died(error.message))
    child.once('exit', (code, signal) => died(signal === null ? `exit code ${code}` : signal, code))
  }

  #hear(news: { starting?: unknown } | null): void {
    if (typeof news?.starting !== 'string') return
    this.#saidStartingAt = Date.now()
    if (news.starting === this.#starting) return
    this.#starting = news.starting
    this.#events.starting(this.spec.name, news.starting)
  }

  /** When it last said that its start goes on, as of Date.now(); 0 where it never did. */
  get saidStartingAt(): number {
    return this.#saidStartingAt
  }

  async #afterDeath(why: string, code: number | null | undefined): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#deaths = Date.now() - this.#startedAt >= this.#policy.healthyAfterMs ? 1 : this.#deaths + 1
    if (this.#deaths >= this.#policy.mostDeaths || code === misconfiguredExitCode) {
      this.#events.gaveUp(this.spec.name, `${times(this.#deaths)} (${why})`, this.logTail())
      return
    }
    const delayMs = Math.min(this.#policy.firstDelayMs * 2 ** (this.#deaths - 1), this.#policy.longestDelayMs)
    this.#events.restarting(this.spec.name, why, delayMs)
    try {
      await delay(delayMs, undefined, { signal: this.#stopping.signal })
    } catch {
      return
    }
    this.start()
  }

  /** Whether /readyz answers 200 at this moment. Nobody but the process that said it listens there can be the one who answers. */
  async isReady(): Promise<boolean> {
    if (this.#child === undefined || !this.#isListening) return false
    try {
      const response = await fetch(`http://127.0.0.1:${this.spec.port}/readyz`, { signal: AbortSignal.timeout(2_000) })
      await response.body?.cancel()
      return response.status === 200
    } catch {
      return false
    }
  }

  /** SIGTERM, and SIGKILL when it takes longer than `graceMs`. It is not started again. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort()
    const child = this.#child
    if (child === undefined) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(timer)
  }

  /** SIGKILL to the process that runs now; it is started again after the delay. */
  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  logTail(lines = 15): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    } catch {
      return '(no log)'
    }
  }
}
