/** Jobs that completed not long ago: a sample of one of them is what its record waits for, or what its record lacks. */
export interface CompletedJobs {
  add(jobId: string): void
  has(jobId: string): boolean
}

/** @param most how many are kept; the one that completed first goes first, and its record is then made at the next look */
export function keepCompletedJobs(most: number): CompletedJobs {
  const ids = new Set<string>()
  return {
    add(jobId) {
      ids.delete(jobId)
      ids.add(jobId)
      for (const oldest of ids) {
        if (ids.size <= most) return
        ids.delete(oldest)
      }
    },
    has: (jobId) => ids.has(jobId),
  }
}
