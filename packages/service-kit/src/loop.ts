/** Work that is done again and again, one round at a time. */
export interface Loop {
  /** The next round begins now, or right after the one in hand. */
  wake(): void
  /** Aborts the signal of the round in hand and waits for it. */
  stop(): Promise<void>
}

/**
 * A round that fails is told, once for each row of failures, and the next one comes all the same.
 * @param everyMs rest between two rounds
 * @param firstAfterMs rest before the first
 */
export function startLoop(
  everyMs: number,
  round: (signal: AbortSignal) => Promise<unknown>,
  onError: (error: Error) => void,
  firstAfterMs = 0,
): Loop {
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let again = false
  let failing = false
  const run = (): void => {
    clearTimeout(timer)
    again = false
    running = round(stopping.signal)
      .then(
        () => {
          failing = false
        },
        (error: Error) => {
          if (!stopping.signal.aborted && !failing) onError(error)
          failing = true
        },
      )
      .then(() => {
        running = undefined
        if (stopping.signal.aborted) return
        timer = setTimeout(run, again ? 0 : everyMs)
      })
  }
  timer = setTimeout(run, firstAfterMs)
  return {
    wake() {
      if (stopping.signal.aborted) return
      if (running) again = true
      else run()
    },
    async stop() {
      stopping.abort()
      clearTimeout(timer)
      await running
    },
  }
}
