import { type Database, listAlertsHeldBy } from '@tagloom/database'
import type { Receiver } from './receivers.ts'
import { repeatRequest } from './requests.ts'
import { send } from './send.ts'

export interface RepeatDeps {
  readonly db: Database
  readonly receivers: readonly Receiver[]
  readonly allowPrivate: boolean
  readonly timeoutMs: number
}

const alertsAtOnce = 500
/** As Prometheus does */
const resolvedForMs = 15 * 60_000

/**
 * Tells every Alertmanager again what is open, and what was resolved lately. It holds alerts in memory and expects its clients to repeat
 * them: one that was restarted would otherwise call an alert resolved that still holds. A repeat that was under way while its alert was
 * resolved may come after the resolve and open it again: the next repeat resolves it. A repeat that fails is left to the next; deliveries
 * have tries of their own.
 */
export async function repeatOpenAlerts(deps: RepeatDeps, signal: AbortSignal): Promise<void> {
  const { db, allowPrivate, timeoutMs } = deps
  for (const receiver of deps.receivers) {
    if (receiver.type !== 'alertmanager') continue
    for (let afterId = 0; !signal.aborted; ) {
      const held = await listAlertsHeldBy(db, receiver.name, { afterId, limit: alertsAtOnce, resolvedForMs })
      const last = held.at(-1)
      if (!last) break
      afterId = last.id
      const sent = await send(repeatRequest(receiver, held, new Date()), { allowPrivate, timeoutMs, signal })
      if (!('status' in sent)) break
    }
  }
}
