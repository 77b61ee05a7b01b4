/** Measured on two cores: seconds of 50,000 pages of 384 dimensions, and how time grows with pages. */
const seconds = { pages: 50_000, dims: 384, taken: 8, growth: 1.25 }

/** How fast this process clusters, from what it has clustered: the first guess is the measured one. */
export class Pace {
  /** Over the measured one; above 1 is slower */
  #slowness = 1

  expectedSeconds(pages: number, dims: number): number {
    const { pages: p, dims: d, taken, growth } = seconds
    return this.#slowness * (startSeconds + taken * (pages / p) ** growth * (dims / d))
  }

  took(taken: number, pages: number, dims: number): void {
    const expected = this.expectedSeconds(pages, dims)
    this.#slowness *= Math.min(4, Math.max(0.25, taken / expected))
  }
}

/** A thread with ONNX Runtime is there after */
const startSeconds = 0.3

/**
 * What a clustering may still take. Steps are uneven, and the first, which finds the neighbours, is the longest: what is expected counts
 * until a step is over, and then less the more shares are done. The percentage follows the time, and never goes back.
 */
export class TimeLeft {
  #expected: number
  #share = 0
  #percent = 0

  constructor(expectedSeconds: number) {
    this.#expected = expectedSeconds
  }

  /** @param share of the steps that are done, 0 to 1 */
  reached(share: number, elapsed: number): void {
    if (share <= this.#share) return
    this.#share = share
    this.#expected = (1 - share) * Math.max(this.#expected, elapsed) + share * (elapsed / share)
  }

  at(elapsed: number): { readonly percent: number; readonly secondsLeft: number } {
    // Beyond what was expected nobody knows: a tenth of the time so far is still to come.
    const secondsLeft = Math.max(this.#expected - elapsed, 0.1 * elapsed)
    const percent = Math.min(99, Math.round((100 * elapsed) / (elapsed + secondsLeft)))
    this.#percent = Math.max(this.#percent, percent)
    return { percent: this.#percent, secondsLeft: Math.round(10 * secondsLeft) / 10 }
  }
}
