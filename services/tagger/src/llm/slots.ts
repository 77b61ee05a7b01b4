import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type Database, extendLlmSlot, freeLlmSlot, takeLlmSlot } from '@tagloom/database'

/** A slot outlives the call that it is for by this: the call has ended before another process takes the slot. */
const LEASE_MARGIN_MS = 5_000
const LOOK_AGAIN_MS = 40

export interface HeldSlot {
  /** From now on the slot is held for the whole time of a call; another one, where it was lost since. */
  renew(): Promise<void>
}

/** Calls at once over all replicas: rows in the database, each held for one call. */
export class CallSlots {
  #db: Database
  #slots: number
  #holder = randomUUID()

  constructor(db: Database, slots: number) {
    this.#db = db
    this.#slots = slots
  }

  /** Waits for a slot, then runs `call` in it. @param mostMs the call's own timeout */
  async within<Result>(
    mostMs: number,
    signal: AbortSignal,
    call: (held: HeldSlot) => Promise<Result>,
  ): Promise<Result> {
    const holder = `${this.#holder}/${randomUUID()}`
    const forMs = mostMs + LEASE_MARGIN_MS
    let slot = await this.#take(holder, forMs, signal)
    const renew = async () => {
      if (!(await extendLlmSlot(this.#db, slot, { holder, forMs }))) slot = await this.#take(holder, forMs, signal)
    }
    try {
      return await call({ renew })
    } finally {
      // When this fails the slot is free again at the end of its lease.
      await freeLlmSlot(this.#db, slot, holder).catch(() => {})
    }
  }

  async #take(holder: string, forMs: number, signal: AbortSignal): Promise<number> {
    for (let looks = 0; ; looks++) {
      signal.throwIfAborted()
      const slot = await takeLlmSlot(this.#db, { slots: this.#slots, holder, forMs })
      if (slot !== undefined) return slot
      // Jitter, so that waiting processes do not all ask at the same moment.
      await wait(LOOK_AGAIN_MS * Math.min(8, 1 + looks / 4) * (0.5 + Math.random()), undefined, { signal })
    }
  }
}
