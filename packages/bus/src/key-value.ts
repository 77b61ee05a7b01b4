import { type KV, Kvm } from '@nats-io/kv'
import type { BusCore } from './core.ts'

/** A bucket of JSON values with a time to live. */
export interface KeyValue {
  put(key: string, value: unknown): Promise<void>
  get(key: string): Promise<unknown>
  delete(key: string): Promise<void>
  /** Values whose key matches a filter with wildcards, e.g. `1.job.>`, in no order */
  list(filter: string): Promise<unknown[]>
}

/** Opens a bucket, or makes it. An existing one keeps its values and gets this time to live. */
export async function openKeyValue(
  core: BusCore,
  bucket: string,
  options: { readonly ttlMs: number },
): Promise<KeyValue> {
  const open = () =>
    new Kvm(core.js).create(core.names.bucket(bucket), { ttl: options.ttlMs, history: 1, max_bytes: 256 << 20 })
  let kv = await open()
  const healed = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch {
      // A wiped store has lost the bucket: make it again, once.
      kv = await open()
      return work()
    }
  }
  return {
    put: (key, value) => healed(async () => void (await kv.put(key, JSON.stringify(value)))),
    get: (key) =>
      healed(async () => {
        const entry = await kv.get(key)
        return entry?.operation === 'PUT' ? entry.json() : undefined
      }),
    delete: (key) => healed(() => kv.delete(key)),
    list: (filter) => healed(() => listValues(kv, filter)),
  }
}

async function listValues(kv: KV, filter: string): Promise<unknown[]> {
  const keys: string[] = []
  for await (const key of await kv.keys(filter)) keys.push(key)
  const entries = await Promise.all(keys.map((key) => kv.get(key)))
  return entries.flatMap((entry) => (entry?.operation === 'PUT' ? [entry.json()] : []))
}
