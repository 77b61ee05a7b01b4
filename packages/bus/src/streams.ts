import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { events } from '@tagloom/contracts'
import type { BusCore } from './core.ts'
import { type Names, nanos } from './names.ts'

const days = (n: number) => nanos(n * 86_400_000)

/** Bounds of what a stream may hold: a full work queue refuses (the outbox keeps the rest), a full event stream forgets the oldest. */
const limits = { events: 4 * 2 ** 30, work: 2 ** 30, dead: 2 ** 28, message: 2 ** 20 }

/** What a stream is brought to at each start. Its replicas are an operator's choice once it exists; storage and retention can't change. */
type Changeable = Pick<
  StreamConfig,
  'subjects' | 'max_age' | 'max_bytes' | 'max_msg_size' | 'discard' | 'duplicate_window'
>
interface DeclaredStream {
  readonly name: string
  readonly retention: RetentionPolicy
  readonly changeable: Changeable
}

function declaredStreams(names: Names): DeclaredStream[] {
  const subjects = (stream: string) =>
    Object.values(events)
      .filter((event) => event.stream === stream)
      .map((event) => names.subject(event.filter))
  const common = { max_msg_size: limits.message, duplicate_window: nanos(120_000), discard: DiscardPolicy.Old }
  return [
    {
      name: names.stream('EVENTS'),
      retention: RetentionPolicy.Limits,
      changeable: { ...common, subjects: subjects('events'), max_age: days(7), max_bytes: limits.events },
    },
    {
      name: names.stream('WORK'),
      retention: RetentionPolicy.Workqueue,
      changeable: {
        ...common,
        subjects: subjects('work'),
        max_age: 0,
        max_bytes: limits.work,
        discard: DiscardPolicy.New,
      },
    },
    {
      name: names.stream('DEAD'),
      retention: RetentionPolicy.Limits,
      changeable: { ...common, subjects: [names.deadSubject('>')], max_age: days(30), max_bytes: limits.dead },
    },
  ]
}

/** Makes the three streams, or brings them to their settings. Any number of processes may do it at once. */
export async function reconcileStreams(core: Pick<BusCore, 'manager' | 'names' | 'log'>): Promise<void> {
  let created = 0
  let updated = 0
  for (const stream of declaredStreams(core.names)) {
    const found = await configOf(core.manager, stream.name)
    if (!found) {
      await makeStream(core.manager, stream)
      created++
    } else if (differs(found, stream.changeable)) {
      await core.manager.streams.update(stream.name, stream.changeable)
      updated++
    }
  }
  if (created + updated > 0) core.log.event('streams_reconciled', { created, updated })
}

async function makeStream(manager: JetStreamManager, { name, retention, changeable }: DeclaredStream): Promise<void> {
  try {
    await manager.streams.add({
      name,
      retention,
      ...changeable,
      storage: StorageType.File,
      num_replicas: 1,
      allow_direct: true,
    })
  } catch (error) {
    // Another process, of another version, made it in this moment.
    if (!(await configOf(manager, name))) throw error
    await manager.streams.update(name, changeable)
  }
}

async function configOf(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config
  } catch (error) {
    if ((error as Error).message === 'stream not found') return undefined
    throw error
  }
}

const differs = (found: StreamConfig, wanted: Changeable): boolean =>
  Object.entries(wanted).some(([key, value]) => String(found[key as keyof Changeable] ?? 0) !== String(value))

export interface DurableSettings {
  readonly stream: string
  readonly durable: string
  readonly filters: readonly string[]
  readonly ackWaitMs: number
  readonly maxDeliver: number
  /** Most messages that are delivered and not acknowledged, of all replicas */
  readonly maxAckPending?: number
}

export const defaultMaxAckPending = 2_000

/** Tries that the server grants beyond those that the bus counts: for burying a message, while what burying needs is away. */
const burialTries = 1_000

/** Makes the durable pull consumer, or brings it to these settings. */
export async function reconcileConsumer(manager: JetStreamManager, of: DurableSettings): Promise<void> {
  const changeable = {
    ack_wait: nanos(of.ackWaitMs),
    max_deliver: of.maxDeliver + burialTries,
    max_ack_pending: of.maxAckPending ?? defaultMaxAckPending,
    ...(of.filters.length === 1 ? { filter_subject: of.filters[0] as string } : { filter_subjects: [...of.filters] }),
  }
  try {
    await manager.consumers.add(of.stream, {
      ...changeable,
      durable_name: of.durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: days(30),
    })
  } catch {
    // It is there with other settings; a missing stream makes this fail too, and that is thrown.
    await manager.consumers.update(of.stream, of.durable, changeable)
  }
}
