import { expect, it } from 'vitest'
import { keepUp } from './keep-up.ts'
import type { OwnServer } from './managed-server.ts'

/** A server whose process ends as soon as it runs. */
const sick = (): OwnServer & { starts: number } => ({
  url: 'nats://nowhere',
  starts: 0,
  async start() {
    this.starts++
  },
  async whenExited() {},
  async stop() {},
  async kill() {},
  async wipe() {},
})

it('a server that ends again and again is given up, with its name', async () => {
  const server = sick()
  const said: string[] = []
  const { signal } = new AbortController()
  const kept = keepUp(server, { name: 'PostgreSQL', say: (line) => said.push(line), signal })
  await expect(kept).rejects.toThrow('PostgreSQL ended 6 times')
  expect([server.starts, said.length]).toEqual([5, 5])
})

it('a server that is stopped on purpose is left alone', async () => {
  const server = sick()
  await keepUp(server, { name: 'PostgreSQL', say: () => {}, signal: AbortSignal.abort() })
  expect(server.starts).toBe(0)
})
