import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client'
import type { Observation } from '@tagloom/bus'

/** Turns what the bus tells of its work into Prometheus metrics. */
export function measureBus(registry: Registry): (observation: Observation) => void {
  const registers = [registry]
  const published = new Counter({
    name: 'tagloom_messages_published_total',
    help: 'Messages that the server took, those it knew already (duplicate), and those it did not take (failed)',
    labelNames: ['outcome'],
    registers,
  })
  const publishSeconds = new Histogram({
    name: 'tagloom_message_publish_seconds',
    help: 'From publishing a message until the server has it',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
    registers,
  })
  const handled = new Counter({
    name: 'tagloom_messages_handled_total',
    help: 'Deliveries by consumer and outcome: acked, retried, dead, handed back',
    labelNames: ['consumer', 'outcome'],
    registers,
  })
  const redelivered = new Counter({
    name: 'tagloom_messages_redelivered_total',
    help: 'Deliveries that were not the first of their message',
    labelNames: ['consumer'],
    registers,
  })
  const handleSeconds = new Histogram({
    name: 'tagloom_message_handle_seconds',
    help: 'Time that a delivery, or a batch of them, was in hand',
    labelNames: ['consumer'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  })
  const inHand = new Gauge({
    name: 'tagloom_messages_in_hand',
    help: 'Messages being handled by this process',
    labelNames: ['consumer'],
    registers,
  })
  return (seen) => {
    switch (seen.kind) {
      case 'published':
        published.inc({ outcome: seen.duplicate ? 'duplicate' : 'taken' })
        publishSeconds.observe(seen.seconds)
        return
      case 'publish failed':
        published.inc({ outcome: 'failed' })
        return
      case 'in hand':
        inHand.inc({ consumer: seen.durable }, seen.delta)
        return
      case 'delivered':
        handled.inc({ consumer: seen.durable, outcome: seen.outcome })
        handleSeconds.observe({ consumer: seen.durable }, seen.seconds)
        if (seen.deliveryCount > 1) redelivered.inc({ consumer: seen.durable })
        return
      case 'batch':
        handled.inc({ consumer: seen.durable, outcome: 'acked' }, seen.messages)
        handleSeconds.observe({ consumer: seen.durable }, seen.seconds)
    }
  }
}
