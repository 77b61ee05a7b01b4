import type { ChatAnswer } from './chat-model.ts'
import { parseReply, UnreadableReply } from './parse-reply.ts'

/** What an answer says: labels, or why it is none. */
export type Read = { readonly labels: string[] } | { readonly unreadable: string; readonly cutOff: boolean }

export function readAnswer({ content, cutOff }: ChatAnswer): Read {
  try {
    return { labels: parseReply(content) }
  } catch (error) {
    if (!(error instanceof UnreadableReply)) throw error
    return { unreadable: error.message, cutOff }
  }
}
