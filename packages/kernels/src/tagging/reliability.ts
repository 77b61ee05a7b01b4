/** Page tags of like confidence, held against what people say. */
export interface ReliabilityBin {
  readonly count: number
  readonly meanConfidence: number
  /** Share of them that people gave too */
  readonly hitRate: number
}

/**
 * Expected calibration error: mean distance of confidence and hit rate over bins, weighted by their counts; 0 is perfect.
 * Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
 * @returns null without a page tag
 */
export function expectedCalibrationError(bins: readonly ReliabilityBin[]): number | null {
  const total = bins.reduce((sum, { count }) => sum + count, 0)
  if (total === 0) return null
  return (
    bins.reduce((sum, { count, meanConfidence, hitRate }) => sum + count * Math.abs(meanConfidence - hitRate), 0) /
    total
  )
}
