import { type Database, pruneLlmReplies } from '@tagloom/database'
import type { Log } from '@tagloom/service-kit'

export interface ForgetReplies {
  readonly db: Database
  readonly log: Log
  readonly days: number
  readonly everyMs?: number
}

const AN_HOUR_MS = 3_600_000

/** Forgets old replies now and then; several replicas may, one finds nothing left. @returns what ends it, after the work in hand */
export function forgetReplies({ db, log, days, everyMs = AN_HOUR_MS }: ForgetReplies): () => Promise<void> {
  let working: Promise<unknown> = Promise.resolve()
  const forget = async () => {
    try {
      const replies = await pruneLlmReplies(db, days)
      if (replies > 0) log.event('llm_replies_forgotten', { replies, days })
    } catch (error) {
      log.event('database_error', { operation: 'forget replies', code: 'unknown', reason: (error as Error).message })
    }
  }
  const timer = setInterval(() => {
    working = forget()
  }, everyMs)
  return async () => {
    clearInterval(timer)
    await working
  }
}
