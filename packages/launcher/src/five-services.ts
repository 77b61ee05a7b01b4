import { join } from 'node:path'
import { type ServiceName, services } from '@tagloom/contracts'
import { freePort } from '@tagloom/local-servers'
import { codeVersion } from './code-version.ts'
import type { ServiceSpec } from './supervised-service.ts'

export interface ServiceSettings {
  root: string
  env: Record<string, string | undefined>
  databaseUrl: string
  natsUrl: string
  gatewayPort: number
  apiKey: string
  /** How many processes of a service; one where nothing is said. */
  replicas?: Partial<Record<ServiceName, number>>
}

/** What the supervisor needs to know of the five, the gateway first. The key is told to nobody else. */
export async function fiveServices(settings: ServiceSettings): Promise<ServiceSpec[]> {
  const { TAGLOOM_API_KEY: _key, ...inherited } = settings.env
  const version = inherited.TAGLOOM_VERSION || (await codeVersion(settings.root))
  const specs: ServiceSpec[] = []
  for (const service of services) {
    for (let replica = 1; replica <= (settings.replicas?.[service] ?? 1); replica++) {
      const name = replica === 1 ? service : `${service}-${replica}`
      const port = service === 'gateway' && replica === 1 ? settings.gatewayPort : await freePort()
      specs.push({
        name,
        main: join(settings.root, 'services', service, 'src', 'main.ts'),
        port,
        env: {
          // ONNX Runtime reports its use to its makers unless it is told not to.
          ORT_DISABLE_TELEMETRY: '1',
          // glibc gives each new thread an arena of its own and keeps what was freed there: each job's thread would leave one behind.
          ...(service === 'clusterer' && { MALLOC_ARENA_MAX: '2' }),
          ...inherited,
          ...(version && { TAGLOOM_VERSION: version }),
          DATABASE_URL: settings.databaseUrl,
          NATS_URL: settings.natsUrl,
          HOST: '127.0.0.1',
          PORT: String(port),
          ...(settings.env.LOG_FILE && { LOG_FILE: logFileOf(settings.env.LOG_FILE, name) }),
          ...(service === 'gateway' && { TAGLOOM_API_KEY: settings.apiKey }),
        },
      })
    }
  }
  return specs
}

/** tagloom.log → tagloom-tagger.log: one file is rotated by one process. */
function logFileOf(file: string, service: string): string {
  return /\.[^./\\]+$/.test(file) ? file.replace(/(\.[^./\\]+)$/, `-${service}$1`) : `${file}-${service}`
}
