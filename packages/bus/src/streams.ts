import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { events, everySubject } from '@tagloom/contracts'
import { type Names, nanos } from './names.ts'

const days = (n: number) => nanos(n * 86_400_000)
const hour = nanos(3_600_000)

/** Bounds of what a stream may hold: a full work queue refuses (the outbox keeps the rest), a full event stream forgets the oldest. */
const limits = { events: 4 << 30, work: 1 << 30, dead: 256 << 20 }

function streamConfigs(names: Names): (Partial<StreamConfig> & { name: string })[] {
  const declared = Object.values(events)
  const subjects = (stream: string) =>
    declared.filter((event) => event.stream === stream).map((event) => names.subject(event.filter))
  const common = {
    storage: StorageType.File,
    num_replicas: 1,
    max_msg_size: 1 << 20,
    allow_direct: true,
    duplicate_window: nanos(120_000),
  }
  return [
    {
      ...common,
      name: names.stream('EVENTS'),
      subjects: subjects('events'),
      retention: RetentionPolicy.Limits,
      max_age: days(7),
      max_bytes: limits.events,
    },
    {
      ...common,
      name: names.stream('WORK'),
      subjects: subjects('work'),
      retention: RetentionPolicy.Workqueue,
      discard: 'new' as never,
      max_bytes: limits.work,
    },
    {
      ...common,
      name: names.stream('DEAD'),
      subjects: [names.deadSubject('>')],
      retention: RetentionPolicy.Limits,
      max_age: days(30),
      max_bytes: limits.dead,
    },
  ]
}

/** Makes the three streams, or brings them to these settings. Any number of processes may do it at once. */
export async function reconcileStreams(manager: JetStreamManager, names: Names): Promise<void> {
  for (const config of streamConfigs(names)) {
    try {
      await manager.streams.add(config)
    } catch {
      // It is there already, with other settings or made by another process in this moment.
      const { storage: _, retention: __, ...changeable } = config
      await manager.streams.update(config.name, changeable)
    }
  }
}

export interface DurableSettings {
  readonly stream: string
  readonly durable: string
  readonly filters: readonly string[]
  readonly ackWaitMs: number
  readonly maxDeliver: number
}

/** Makes the durable pull consumer, or brings it to these settings. */
export async function reconcileConsumer(manager: JetStreamManager, of: DurableSettings): Promise<void> {
  const changeable = {
    ack_wait: nanos(of.ackWaitMs),
    // More than the bus counts: the further ones are for burying a message whose processes died, or whose burial failed.
    max_deliver: of.maxDeliver + 10,
    max_ack_pending: 2_000,
    ...(of.filters.length === 1 ? { filter_subject: of.filters[0] as string } : { filter_subjects: [...of.filters] }),
  }
  try {
    await manager.consumers.add(of.stream, {
      ...changeable,
      durable_name: of.durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: 30 * 24 * hour,
    })
  } catch {
    await manager.consumers.update(of.stream, of.durable, changeable)
  }
}

export const publishedSubjects = (names: Names): string => names.subject(everySubject)
