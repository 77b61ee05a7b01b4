import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Whether 127.0.0.1:port can be bound at this moment. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

/**
 * Below the ports that Linux, macOS and Windows give to outgoing connections (from 32,768 or 49,152): one of those may be taken by a
 * connection of anybody before whoever asked for it listens, or while a killed service is started again.
 */
const lowest = 20_000
const highest = 32_000
const mostProbes = 100

/** Where this process looked last: it gives no port twice, since whoever asked for one does not listen on it at once. */
let last: number | undefined

function nextPort(): number {
  last = last === undefined ? randomInt(lowest, highest) : lowest + ((last + 1 - lowest) % (highest - lowest))
  return last
}

/** A port of 127.0.0.1 that nothing listens on, another each time; the remembered one when it is free still. */
export async function freePort(remembered?: number): Promise<number> {
  if (remembered !== undefined && (await isPortFree(remembered))) return remembered
  for (let probe = 0; probe < mostProbes; probe++) {
    const port = nextPort()
    if (await isPortFree(port)) return port
  }
  throw new Error(`expected a free port between ${lowest} and ${highest}, found none in ${mostProbes} probes`)
}
