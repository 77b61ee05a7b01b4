declare module 'pino-roll' {
  import type { EventEmitter } from 'node:events'

  /** A SonicBoom stream that moves on to a new file; the package ships no types. */
  interface RolledStream extends EventEmitter {
    write(line: string): boolean
    end(): void
  }
  interface RollOptions {
    readonly file: string
    /** e.g. `20m` */
    readonly size: string
    readonly frequency: 'daily' | 'hourly'
    /** In the name of each file, e.g. `yyyy-MM-dd` */
    readonly dateFormat: string
    readonly mkdir: boolean
    readonly limit: { readonly count: number; readonly removeOtherLogFiles: boolean }
  }
  export default function roll(options: RollOptions): Promise<RolledStream>
}
