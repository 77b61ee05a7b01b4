import { CloudEvent } from './envelope.ts'
import { events } from './events.ts'
import { pipeline } from './pipeline.ts'
import type { ServiceName } from './stages.ts'

type Json = Record<string, unknown>

const channelName = (event: string): string => event.replaceAll('.', '-')

/**
 * The AsyncAPI 3 document of everything that Tagloom publishes, from the same schemas that check each message.
 * @param serverHost host and port of the nats-server, as other systems reach it
 */
export function asyncApiDocument(serverHost: string): Json {
  const channels: Json = {}
  const operations: Json = {}
  const messages: Json = {}
  for (const event of Object.values(events)) {
    const name = channelName(event.name)
    channels[name] = {
      address: event.filter.replace('*', '{wikiId}').replace(/\*$/, '{severity}'),
      description: event.description,
      parameters: {
        wikiId: { description: 'Number of the wiki' },
        ...(event.filter.endsWith('.*') ? { severity: { enum: ['info', 'warning', 'critical'] } } : {}),
      },
      messages: { [name]: { $ref: `#/components/messages/${name}` } },
    }
    messages[name] = {
      name: event.type,
      contentType: 'application/cloudevents+json',
      summary: event.description,
      payload: envelopeOf(event.type, event.schema),
    }
    operations[`send-${name}`] = {
      action: 'send',
      channel: { $ref: `#/channels/${name}` },
      summary: `Sent by ${producersOf(event.name).join(', ')}`,
    }
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Tagloom',
      version: '1.0.0',
      description:
        'What Tagloom publishes on NATS: CloudEvents 1.0 as structured JSON. The stream TAGLOOM_EVENTS keeps them for 7 days.',
    },
    servers: { nats: { host: serverHost, protocol: 'nats' } },
    channels,
    operations,
    components: { messages },
  }
}

function envelopeOf(type: string, data: unknown): Json {
  const { properties } = CloudEvent
  return {
    type: 'object',
    required: ['specversion', 'id', 'source', 'type', 'time', 'datacontenttype', 'data'],
    properties: { ...properties, type: { type: 'string', const: type }, data },
  }
}

function producersOf(name: string): readonly ServiceName[] {
  return pipeline.find((flow) => flow.event.name === name)?.producers ?? []
}
