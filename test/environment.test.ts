import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { commonEnvironment, type ServiceName, services } from '@tagloom/contracts'
import type { TSchema } from 'typebox'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

const root = join(import.meta.dirname, '..')
const example = readFileSync(join(root, '.env.example'), 'utf8')
/** NAME → value, of lines like `NAME=value` and `# NAME=value`. */
const documented = new Map(
  [...example.matchAll(/^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map((found) => [found[1]!, found[2]!]),
)
/** Given by whoever starts a service, never by a person. */
const byStarter = ['HOST', 'PORT', 'NATS_PREFIX']

async function declaredBy(service: ServiceName): Promise<Record<string, TSchema & { default?: unknown }>> {
  const config = await import(join(root, 'services', service, 'src', 'config.ts'))
  return { ...commonEnvironment, ...config.environment }
}

describe.each(services)('the environment of %s', (service) => {
  it('is told by .env.example, with its defaults', async () => {
    for (const [name, schema] of Object.entries(await declaredBy(service))) {
      if (byStarter.includes(name)) continue
      expect(documented.has(name), `${name} in .env.example`).toBe(true)
      const shown = documented.get(name)
      if (schema.default !== undefined && schema.default !== '') expect(shown, name).toBe(String(schema.default))
    }
  })

  it('is what docker-compose.yml gives it, and no more', async () => {
    const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true })
    const declared = await declaredBy(service)
    const given = Object.keys(compose.services[service].environment)
    expect(given.filter((name) => !(name in declared))).toEqual([])
  })
})
