/**
 * Runs `work` every `ms`, one at a time, until stopped. A failure is told, once for each row of failures, and the next turn comes all
 * the same.
 */
export function repeat(ms: number, work: () => Promise<void>, onError: (error: Error) => void): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false
  let failing = false
  const turn = () => {
    running = work()
      .then(
        () => {
          failing = false
        },
        (error: Error) => {
          if (!failing) onError(error)
          failing = true
        },
      )
      .then(() => {
        if (!stopped) timer = setTimeout(turn, ms)
      })
  }
  timer = setTimeout(turn, ms)
  return () => {
    stopped = true
    clearTimeout(timer)
    return running
  }
}
