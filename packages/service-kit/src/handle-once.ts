import type { Message } from '@tagloom/bus'
import type { EventDeclaration } from '@tagloom/contracts'
import { claimInbox, type Database, isInInbox, type Transaction } from '@tagloom/database'
import type { Owe, Relay } from './relay.ts'

/** Writes the results of a message and notes what is to be sent, all in the transaction that it is given. */
export type Save = (tx: Transaction, owe: Owe) => Promise<void>

export interface HandleOnceDeps {
  readonly db: Database
  readonly relay: Pick<Relay, 'commit'>
  /** Name under which the message is noted as handled */
  readonly consumer: string
}

/**
 * Handles a message so that a second delivery changes nothing: `work` computes, without writing, and returns how to save; one
 * transaction then holds {inbox row + results + outbox rows}, and is followed by publishing. Only then does the bus acknowledge.
 * A delivery whose inbox row is there already does nothing; what its transaction still owes is published by the relay's sweep.
 */
export async function handleOnce<E extends EventDeclaration>(
  deps: HandleOnceDeps,
  message: Message<E>,
  work: () => Promise<Save>,
): Promise<void> {
  if (await isInInbox(deps.db, deps.consumer, message.id)) return
  const save = await work()
  await deps.relay.commit(async (tx, owe) => {
    if (await claimInbox(tx, deps.consumer, message.id)) await save(tx, owe)
  })
}
