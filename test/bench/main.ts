/** `npm run bench -- NAME [arguments]`: runs the benchmark in the file of that name, which prints JSON lines. */
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stopOnSignals } from './ground/own-servers.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))

stopOnSignals()
const [name = '', ...args] = process.argv.slice(2)
try {
  if (!names.includes(name)) throw new Error(`expected one of ${names.join(', ')}, got "${name}"`)
  const bench = (await import(`./${name}.ts`)) as { run: (args: string[]) => Promise<void> }
  await bench.run(args)
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  // What it opened (a model's threads, a server's connection) would keep the process.
  process.exit(1)
}
