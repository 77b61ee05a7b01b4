import { mkdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { rotateLog } from './rotate-log.ts'
import { type RestartPolicy, type ServiceSpec, SupervisedService } from './supervised-service.ts'

/** Of each service there are two files at most: so much, and what is put aside of it. */
const LARGEST_LOG_BYTES = 50 << 20
const LOOK_AT_LOGS_EVERY_MS = 10_000

const DEFAULT_POLICY: RestartPolicy = {
  firstDelayMs: 250,
  longestDelayMs: 5_000,
  healthyAfterMs: 30_000,
  mostDeaths: 5,
}

export interface SupervisorOptions {
  logFolder: string
  /** One line about a service that died. */
  say(line: string): void
  policy?: Partial<RestartPolicy>
  /** A log that is larger is put aside. */
  largestLogBytes?: number
  lookAtLogsEveryMs?: number
}

/** A service that died again and again; the message holds its last log lines. */
export class ServiceGivenUp extends Error {
  override readonly name = 'ServiceGivenUp'
}

/** What the last service_failed among log lines says, so that nobody need find it there. */
function reasonIn(tail: string): string {
  const reasons = tail.matchAll(/"event":"service_failed".*?"reason":("(?:[^"\\]|\\.)*")/g)
  const last = [...reasons].at(-1)?.[1]
  return last === undefined ? '' : `: ${JSON.parse(last)}`
}

/** Keeps a set of service processes alive until it is told to stop. */
export class Supervisor {
  readonly services: SupervisedService[] = []
  /** Rejects with ServiceGivenUp as soon as one service keeps dying; never resolves. */
  readonly givenUp: Promise<never>
  readonly #options: SupervisorOptions
  readonly #policy: RestartPolicy
  readonly #logWatch: NodeJS.Timeout
  readonly #notRotated = new Set<string>()
  #giveUp!: (error: ServiceGivenUp) => void

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#policy = { ...DEFAULT_POLICY, ...options.policy }
    this.givenUp = new Promise((_, reject) => {
      this.#giveUp = reject
    })
    this.givenUp.catch(() => undefined)
    mkdirSync(options.logFolder, { recursive: true })
    this.#logWatch = setInterval(() => this.#rotateLogs(), options.lookAtLogsEveryMs ?? LOOK_AT_LOGS_EVERY_MS)
    this.#logWatch.unref()
  }

  start(spec: ServiceSpec): SupervisedService {
    const service = new SupervisedService(spec, this.#options.logFolder, this.#policy, {
      starting: (name, what) => this.#options.say(`${name}: ${what}`),
      restarting: (name, why, delayMs) =>
        this.#options.say(`${name} ended (${why}); starting it again in ${delayMs} ms`),
      gaveUp: (name, how, tail) =>
        this.#giveUp(new ServiceGivenUp(`${name} ended ${how}${reasonIn(tail)}. Its last log lines:\n${tail}`)),
    })
    this.services.push(service)
    this.#rotateLogs()
    service.start()
    return service
  }

  /** Resolves when every service listens and answers /readyz. One that says that its start goes on is waited for longer. */
  async whenReady(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const began = Date.now()
    const all = async (): Promise<void> => {
      for (const service of this.services) {
        while (!(await service.isReady())) {
          signal?.throwIfAborted()
          if (Date.now() > Math.max(began, service.saidStartingAt) + timeoutMs) {
            throw new ServiceGivenUp(
              `${service.spec.name} was not ready within ${timeoutMs / 1000} s. Its last log lines:\n${service.logTail()}`,
            )
          }
          await delay(100, undefined, { signal })
        }
      }
    }
    await Promise.race([all(), this.givenUp])
  }

  /** The first one (the gateway) before the others, so that nothing new comes in while they finish. */
  async stop(graceMs: number): Promise<void> {
    clearInterval(this.#logWatch)
    const [first, ...others] = this.services
    await first?.stop(graceMs / 2)
    await Promise.all(others.map((service) => service.stop(graceMs / 2)))
  }

  /** A full disk must not end the services: it is told once, and looked at again. */
  #rotateLogs(): void {
    for (const { logFile, spec } of this.services) {
      try {
        rotateLog(logFile, this.#options.largestLogBytes ?? LARGEST_LOG_BYTES)
        this.#notRotated.delete(spec.name)
      } catch (error) {
        if (!this.#notRotated.has(spec.name))
          this.#options.say(`the log of ${spec.name} could not be put aside: ${(error as Error).message}`)
        this.#notRotated.add(spec.name)
      }
    }
  }
}
