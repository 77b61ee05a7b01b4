// The image's entry point: runs the service that its argument names, in this very process, so that signals reach it.
import { existsSync, readdirSync } from 'node:fs'

const services = new URL('services/', import.meta.url)
const name = process.argv[2] ?? ''
const main = new URL(`${name}/src/main.ts`, services)
if (!/^[a-z-]+$/.test(name) || !existsSync(main)) {
  console.error(`expected one of ${readdirSync(services).join(', ')} as the argument, got "${name}"`)
  process.exit(2)
}
await import(main.href)
