/** A server that a test can hurt, and that a start owns. The url stays the same through every restart. */
export interface ManagedServer {
  readonly url: string
  /** Ready to serve when this resolves. */
  start(): Promise<void>
  /** In order: what was acknowledged is on disk. */
  stop(): Promise<void>
  /** SIGKILL: nothing is said or flushed. */
  kill(): Promise<void>
  /** Kills it and deletes its data; `start()` then finds an empty store. */
  wipe(): Promise<void>
}

/** One whose process is ours to watch. */
export interface OwnServer extends ManagedServer {
  /** Resolves when the process that runs now has ended, however; at once where none runs. */
  whenExited(): Promise<void>
}
