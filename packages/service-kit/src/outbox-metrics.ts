import { Gauge, type Registry } from '@prometheus-io/client'
import { countOutbox, type Database } from '@tagloom/database'

/** How many messages are owed to the bus, counted when somebody asks. */
export function measureOutbox(registry: Registry, db: Database): void {
  new Gauge({
    name: 'tagloom_outbox_messages',
    help: 'Messages owed to the bus by all processes',
    registers: [registry],
    async collect() {
      this.set(await countOutbox(db).catch(() => Number.NaN))
    },
  })
}
