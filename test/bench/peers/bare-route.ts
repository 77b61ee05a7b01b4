/**
 * A Fastify route with nothing around it, answering with the body that its parent sends: what an endpoint is measured against.
 * Asked for `cpu` it answers with the processor time that it has used, in µs.
 */
import fastify from 'fastify'

process.once('message', async (body: string) => {
  const app = fastify()
  app.get('/', async (_, reply) => reply.type('application/json; charset=utf-8').send(body))
  process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }))
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
})
