import { Gauge, type Registry } from '@prometheus-io/client'
import { countOutbox, type Database } from '@tagloom/database'
import { readingForScrapes } from './reading-for-scrapes.ts'

/** How many messages are owed to the bus, counted when somebody asks; NaN where the database does not say. */
export function measureOutbox(registry: Registry, db: Database): void {
  const gauge: Gauge = new Gauge({
    name: 'tagloom_outbox_messages',
    help: 'Messages owed to the bus by all processes',
    registers: [registry],
    collect: readingForScrapes(async () => gauge.set(await countOutbox(db)), {
      freshForMs: 0,
      onOutcome: (done) => done || gauge.set(Number.NaN),
    }),
  })
}
