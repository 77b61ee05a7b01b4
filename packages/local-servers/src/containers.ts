import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { StartedTestContainer } from 'testcontainers'
import { freePort } from './free-port.ts'
import type { ManagedServer } from './managed-server.ts'
import { readNatsInfo } from './nats-info.ts'
import { answersQuery } from './reach.ts'
import { answersPing } from './redis.ts'

const LABEL = 'tagloom.test-server'

interface ContainerKind {
  image: string
  port: number
  /** What else the image exposes: Podman waits for a binding of each. */
  otherPorts: number[]
  command: string[]
  /** Put into it before it starts. */
  files?: { target: string; content: string }[]
  /** Its log says this when it is nearly there. The default way to wait needs a shell in the image. */
  readyLine: RegExp
  environment: Record<string, string>
  /** Ends it in order. PostgreSQL waits for its clients at SIGTERM, and for nobody at SIGINT, as its official image is stopped. */
  stopSignal: 'SIGTERM' | 'SIGINT'
  url(hostPort: number): string
  isServing(hostPort: number): Promise<boolean>
}

/** The official images, as containers that can be stopped, killed and wiped like the embedded servers. */
export async function containerServer(kind: 'postgres' | 'nats' | 'redis'): Promise<ManagedServer> {
  // Loaded here: the embedded way must not pay for a Docker client.
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers')
  const wanted = KINDS[kind]()
  // A port of our own choice: one that the engine picks would change with every restart.
  const hostPort = await freePort()
  const id = randomBytes(8).toString('hex')
  let container: StartedTestContainer | undefined

  async function signal(name: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<void> {
    if (container === undefined) return
    const client = await getContainerRuntimeClient()
    const handle = client.container.getById(container.getId())
    if (!(await handle.inspect()).State.Running) return
    await handle.kill({ signal: name })
    const deadline = Date.now() + 15_000
    while ((await handle.inspect()).State.Running) {
      if (Date.now() > deadline) throw new Error(`container ${container.getId()} did not end within 15 s of ${name}`)
      await delay(50)
    }
  }

  async function start(): Promise<void> {
    if (container === undefined) {
      container = await new GenericContainer(wanted.image)
        .withCommand(wanted.command)
        .withEnvironment(wanted.environment)
        .withCopyContentToContainer(wanted.files ?? [])
        .withWaitStrategy(Wait.forLogMessage(wanted.readyLine))
        .withLabels({ [LABEL]: id })
        .withExposedPorts({ container: wanted.port, host: hostPort }, ...wanted.otherPorts)
        .start()
    } else {
      const client = await getContainerRuntimeClient()
      const handle = client.container.getById(container.getId())
      if (!(await handle.inspect()).State.Running) await handle.start()
    }
    const deadline = Date.now() + 60_000
    while (!(await wanted.isServing(hostPort))) {
      if (Date.now() > deadline) throw new Error(`${wanted.image} did not serve at port ${hostPort} within 60 s`)
      await delay(50)
    }
  }

  return {
    url: wanted.url(hostPort),
    start,
    stop: () => signal(wanted.stopSignal),
    kill: () => signal('SIGKILL'),
    async wipe() {
      container = undefined
      // By label: a container whose start failed half-way has no handle.
      const { dockerode } = (await getContainerRuntimeClient()).container
      const ours = await dockerode.listContainers({ all: true, filters: { label: [`${LABEL}=${id}`] } })
      await Promise.all(ours.map(({ Id }) => dockerode.getContainer(Id).remove({ force: true, v: true })))
    },
  }
}

const KINDS: Record<'postgres' | 'nats' | 'redis', () => ContainerKind> = {
  postgres: () => {
    const password = randomBytes(12).toString('hex')
    const url = (port: number): string => `postgres://tagloom:${password}@127.0.0.1:${port}/tagloom`
    return {
      image: 'postgres:18-alpine',
      port: 5432,
      otherPorts: [],
      readyLine: /ready to accept connections/,
      command: [
        '-c',
        'fsync=off',
        '-c',
        'full_page_writes=off',
        '-c',
        'synchronous_commit=off',
        '-c',
        'max_connections=200',
      ],
      environment: { POSTGRES_USER: 'tagloom', POSTGRES_PASSWORD: password, POSTGRES_DB: 'tagloom' },
      stopSignal: 'SIGINT',
      url,
      isServing: (port) => answersQuery(url(port)),
    }
  },
  nats: () => ({
    image: 'nats:2-alpine',
    port: 4222,
    otherPorts: [6222, 8222],
    readyLine: /Server is ready/,
    command: ['-c', '/tagloom.conf'],
    // As in nats.ts: what streams set aside may be more than the disk has.
    files: [{ target: '/tagloom.conf', content: 'jetstream { store_dir: /data, max_file_store: 16TB }\n' }],
    environment: {},
    stopSignal: 'SIGTERM',
    url: (port) => `nats://127.0.0.1:${port}`,
    isServing: (port) =>
      readNatsInfo('127.0.0.1', port, 1_000).then(
        (info) => info.jetstream === true,
        () => false,
      ),
  }),
  redis: () => ({
    image: 'redis:8-alpine',
    port: 6379,
    otherPorts: [],
    readyLine: /Ready to accept connections/,
    command: ['--save', '', '--appendonly', 'no'],
    environment: {},
    stopSignal: 'SIGTERM',
    url: (port) => `redis://127.0.0.1:${port}`,
    isServing: answersPing,
  }),
}
