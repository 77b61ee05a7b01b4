import { join } from 'node:path'
import { joinedLogs, parseLogsOptions } from './logs.ts'
import { start } from './start.ts'
import { help, parseStartOptions } from './start-options.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const INTERRUPTED = 130

/** Ctrl-C reaches us from the terminal and once more from the process above us: two within a second are one. */
function untilAskedToStop(): AbortSignal {
  const asked = new AbortController()
  let firstAt = 0
  const stop = (): void => {
    if (firstAt === 0) firstAt = Date.now()
    else if (Date.now() - firstAt > 1_000) process.exit(INTERRUPTED)
    asked.abort(new Error('stopped by a signal'))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  process.once('disconnect', stop)
  process.channel?.unref()
  return asked.signal
}

async function main([command, ...args]: string[]): Promise<number> {
  const cwd = process.env.INIT_CWD ?? process.cwd()
  try {
    process.loadEnvFile(join(root, '.env'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const env = process.env
  if (command === 'logs') {
    for await (const line of joinedLogs(parseLogsOptions(args), { root, env })) process.stdout.write(`${line}\n`)
    return 0
  }
  const options = parseStartOptions(args)
  if (options.help) {
    process.stdout.write(help)
    return 0
  }
  const out = {
    isTTY: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 80,
    write: (text: string) => void process.stdout.write(text),
  }
  const signal = untilAskedToStop()
  try {
    return await start(options, { root, cwd, env, out, signal })
  } catch (error) {
    if (signal.aborted) return INTERRUPTED
    throw error
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: Error) => {
    console.error(`tagloom: ${error.message}`)
    process.exit(1)
  },
)
