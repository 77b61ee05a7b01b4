import { stages } from '@tagloom/contracts'
import colors from 'picocolors'

const progressRows = ['import', ...stages] as const
export type ProgressRow = (typeof progressRows)[number]

export interface Output {
  isTTY: boolean
  columns: number
  write(text: string): void
}

interface Row {
  done: number
  /** Undefined while nobody knows. */
  total: number | undefined
  unit: string
  /** As the worker says, where it does */
  secondsLeft: number | undefined
  firstMs: number
  endMs: number | undefined
}

const BAR_WIDTH = 24
const REDRAW_MS = 80
const PLAIN_LINE_MS = 5_000

/**
 * A job as it goes: on a terminal one line a stage, redrawn in place; elsewhere a plain line when a stage begins, at
 * most every five seconds while it runs, and when it ends.
 */
export class ProgressView {
  readonly #out: Output
  readonly #now: () => number
  readonly #rows = new Map<ProgressRow, Row>()
  #drawnLines = 0
  #drawnAt = Number.NEGATIVE_INFINITY
  readonly #plainAt = new Map<ProgressRow, number>()

  constructor(out: Output, now: () => number = Date.now) {
    this.#out = out
    this.#now = now
  }

  /**
   * Where a stage is. Reports of workers that run side by side may overtake each other: a count never goes back. A
   * stage ends when all of it is done.
   */
  update(name: ProgressRow, done: number, total: number | undefined, unit: string, secondsLeft?: number): void {
    const row = this.#rows.get(name)
    if (row?.endMs !== undefined) return
    const most = row?.unit === unit ? Math.max(row.done, done) : done
    this.#rows.set(name, {
      done: most,
      total,
      unit,
      secondsLeft,
      firstMs: row?.firstMs ?? this.#beginning(),
      endMs: undefined,
    })
    if (total !== undefined && most >= total) this.finish(name)
    else if (this.#out.isTTY) {
      if (this.#now() - this.#drawnAt >= REDRAW_MS) this.#draw()
    } else if (this.#now() - (this.#plainAt.get(name) ?? Number.NEGATIVE_INFINITY) >= PLAIN_LINE_MS) {
      this.#plain(name)
    }
  }

  /** A stage begins where the one before it ended: the first that is heard of it may be its end. */
  #beginning(): number {
    const ends = [...this.#rows.values()].map((row) => row.endMs ?? this.#now())
    return ends.length === 0 ? this.#now() : Math.max(...ends)
  }

  knows(name: ProgressRow): boolean {
    return this.#rows.has(name)
  }

  /** The stage is done, whatever was last heard of it. */
  finish(name: ProgressRow): void {
    const row = this.#rows.get(name)
    if (row === undefined || row.endMs !== undefined) return
    row.endMs = this.#now()
    row.total ??= row.done
    if (row.done < row.total) row.done = row.total
    if (this.#out.isTTY) this.#draw()
    else this.#plain(name)
  }

  /** A line above the bars. */
  note(line: string): void {
    this.#erase()
    this.#out.write(`${line}\n`)
    if (this.#out.isTTY) this.#draw()
  }

  #plain(name: ProgressRow): void {
    this.#plainAt.set(name, this.#now())
    this.#out.write(`${this.#line(name, false)}\n`)
  }

  #draw(): void {
    this.#erase()
    const lines = progressRows.filter((name) => this.#rows.has(name)).map((name) => this.#line(name, true))
    this.#out.write(lines.map((line) => `${line}\n`).join(''))
    this.#drawnLines = lines.length
    this.#drawnAt = this.#now()
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#out.write(`\x1b[${this.#drawnLines}A\x1b[0J`)
    this.#drawnLines = 0
  }

  #line(name: ProgressRow, withBar: boolean): string {
    const row = this.#rows.get(name)!
    const elapsed = ((row.endMs ?? this.#now()) - row.firstMs) / 1000
    const rate = elapsed > 0.05 ? row.done / elapsed : 0
    const count = `${row.done}${row.total === undefined ? '' : `/${row.total}`} ${row.unit}`
    const parts = [(row.total === 0 ? 'nothing to do' : count).padEnd(18)]
    if (rate > 0) parts.push(`${rate >= 100 ? rate.toFixed(0) : rate.toFixed(1)}/s`.padEnd(9))
    if (row.endMs !== undefined) parts.push(`in ${duration(elapsed)}`)
    else if (row.secondsLeft !== undefined) parts.push(`${duration(row.secondsLeft)} left`)
    else if (rate > 0 && row.total !== undefined) parts.push(`${duration((row.total - row.done) / rate)} left`)
    const bar = withBar && this.#out.columns >= 80 ? `${drawBar(row)}  ` : ''
    return `  ${name.padEnd(10)} ${bar}${parts.join('  ')}`.trimEnd()
  }
}

function drawBar(row: Row): string {
  const share = row.total === undefined ? 0 : row.total === 0 ? 1 : Math.min(row.done / row.total, 1)
  const full = row.endMs === undefined ? Math.floor(share * BAR_WIDTH) : BAR_WIDTH
  const drawn = '█'.repeat(full)
  return (row.endMs === undefined ? drawn : colors.green(drawn)) + colors.dim('·'.repeat(BAR_WIDTH - full))
}

/** 0.4 s · 12 s · 3 min 05 s */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}
