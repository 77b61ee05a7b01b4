export interface ReadingOptions {
  /** Gauges that are asked again within so long after a reading ended show it again. */
  readonly freshForMs: number
  /** Told of each reading's end, and when a scrape went on without it */
  readonly onOutcome: (done: boolean) => void
  readonly waitAtMostMs?: number
}

/** Shorter than the ten seconds that Prometheus gives a scrape, for a server that says nothing at all. */
const defaultWaitMs = 2_000

/**
 * A `collect` for all gauges that one reading of the database fills. However many scrapes there are, one reading is under way at most. It never
 * rejects and is never late: a server that is away must not take the process's other figures with it.
 */
export function readingForScrapes(read: () => Promise<void>, options: ReadingOptions): () => Promise<void> {
  const { freshForMs, onOutcome, waitAtMostMs = defaultWaitMs } = options
  let freshUntil = 0
  let reading: Promise<void> = Promise.resolve()
  const begin = async (): Promise<void> => {
    freshUntil = Number.POSITIVE_INFINITY
    try {
      await read()
      onOutcome(true)
    } catch {
      onOutcome(false)
    } finally {
      freshUntil = Date.now() + freshForMs
    }
  }
  return async () => {
    if (Date.now() >= freshUntil) reading = begin()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        onOutcome(false)
        resolve()
      }, waitAtMostMs)
    })
    await Promise.race([reading, late])
    clearTimeout(timer)
  }
}
