/*
 * Where "the same" begins in the cosines of a model. The cosines below were found with the bundled model, all-MiniLM-L6-v2. Others squeeze
 * theirs: of e5-small-v2 unrelated labels have 0.81 and siblings 0.91 (*red wine*, *white wine*), so at 0.9 two of three siblings were one tag.
 * Two levels tell how a model spreads them: labels that have nothing to do with each other, and one thing in other words. A cosine of the
 * bundled model stands for the one that lies at the same share of the way from level to level (from the upper one to 1).
 *
 * Held against labels that are not in the list (40 pairs in other words, 40 of siblings): the bundled model at 0.9 joins 30 % and none,
 * e5-small-v2 at the 0.971 that comes of it 33 % and none, at 0.9 95 % and 65 %. One level, that of unrelated labels, gives 0.978, which joins 23 %.
 */

/** Mean cosine of labels that have nothing to do with each other, and of one thing in other words. */
interface Levels {
  readonly unrelated: number
  readonly reworded: number
}

/** Cosines of labels from which on they are taken for the same, for one question each. */
export interface MeaningCosines {
  /** Of two labels: they mean the same */
  readonly same: number
  /** Of two tags: they look like duplicates to a person */
  readonly alike: number
  /** Of two labels of the same letters: they are spellings of one thing */
  readonly sameSpelling: number
  /** What they were found by, and what other cosines of the model are read by */
  readonly levels: Levels
}

/**
 * Of the bundled model: at 0.9 it joins "e-mail" with "email address", and parts "ECDSA" from "EdDSA". At 0.62 it takes 55 of 62 pairs such as
 * "e-mail", "email" for one, and 5 of 53 such as "re-sign", "resign" (spelling-variants.test.ts of the tagger).
 */
export const bundledMeaning: MeaningCosines = {
  same: 0.9,
  alike: 0.85,
  sameSpelling: 0.62,
  levels: { unrelated: 0.125956, reworded: 0.879274 },
}
const bundledLevels = bundledMeaning.levels

/** Things far from each other, each in two wordings. */
const rewordings: readonly (readonly [string, string])[] = `sailing boat|sail boat
machine learning|learning by machines
key exchange|exchange of keys
film|movie
automobile|motor car
physician|medical doctor
user interface|interface for users
road traffic|traffic on roads
history of Rome|Roman history
French cooking|French cuisine
books for children|children's books
data analysis|analysis of data
weather forecast|weather prediction
error handling|handling of errors
football club|soccer club
stock market|share market
energy saving|saving energy
legal advice|advice on law
water pollution|polluted water
music theory|theory of music
population growth|growth of population
file compression|compressing files
image processing|processing of images
house prices|prices of houses
climate change|changing climate
university student|student at a university
bird watching|watching birds
tax return|tax declaration
trade union|labor union
mobile phone|cell phone
garbage collection|collecting garbage
bicycle repair|repairing bicycles
crime novel|detective novel
wine tasting|tasting of wine
mountain climbing|climbing mountains
railway station|train station
gold mine|gold mining
software testing|testing of software
bread baking|baking bread
heart disease|cardiac disease`
  .split('\n')
  .map((line) => line.split('|') as [string, string])

/** The labels whose vectors meaningCosines asks for. */
export const meaningLabels: readonly string[] = rewordings.flat()

/**
 * What the cosines of the bundled model are in another one.
 * @param vectorOf unit vector of a label, for those of meaningLabels
 * @returns cosines above 1, which no labels have, for a model that does not tell rewordings from what is unrelated
 */
export function meaningCosines(vectorOf: (label: string) => Float32Array): MeaningCosines {
  const levels = levelsOf(vectorOf)
  return {
    same: cosineAt(bundledMeaning.same, levels),
    alike: cosineAt(bundledMeaning.alike, levels),
    sameSpelling: cosineAt(bundledMeaning.sameSpelling, levels),
    levels,
  }
}

function levelsOf(vectorOf: (label: string) => Float32Array): Levels {
  const ones = rewordings.map(([one]) => vectorOf(one))
  const others = rewordings.map(([, other]) => vectorOf(other))
  let reworded = 0
  let all = 0
  for (const [row, one] of ones.entries()) {
    for (const [column, other] of others.entries()) {
      const cosine = one.reduce((sum, value, d) => sum + value * other[d]!, 0)
      all += cosine
      if (row === column) reworded += cosine
    }
  }
  const n = rewordings.length
  return { unrelated: (all - reworded) / (n * (n - 1)), reworded: reworded / n }
}

/** Levels that lie nearer than this are rounding. */
const LEAST_SPREAD = 0.001

function cosineAt(bundled: number, { unrelated, reworded }: Levels): number {
  if (reworded - unrelated < LEAST_SPREAD) return 2
  const between = (bundled - bundledLevels.unrelated) / (bundledLevels.reworded - bundledLevels.unrelated)
  if (between <= 1) return unrelated + between * (reworded - unrelated)
  return reworded + ((bundled - bundledLevels.reworded) / (1 - bundledLevels.reworded)) * (1 - reworded)
}

/**
 * A cosine of a model as that of the bundled one, to which coefficients and bounds were fitted: the way back of cosineAt. Those of the bundled
 * model, and of one that tells nothing apart, stay as they are, and so does 0: a label that the model has no words for has no other.
 */
export function bundledCosine(cosine: number, { levels }: MeaningCosines): number {
  const { unrelated, reworded } = levels
  if (cosine === 0 || isBundled(levels) || reworded - unrelated < LEAST_SPREAD) return cosine
  const over = cosine - reworded
  if (over < 0)
    return bundledLevels.reworded + (over / (reworded - unrelated)) * (bundledLevels.reworded - bundledLevels.unrelated)
  return bundledLevels.reworded + (over / Math.max(LEAST_SPREAD, 1 - reworded)) * (1 - bundledLevels.reworded)
}

/** The same of many, in place. */
export function bundledCosines(cosines: Float32Array, meaning: MeaningCosines): Float32Array {
  if (isBundled(meaning.levels)) return cosines
  for (let k = 0; k < cosines.length; k++) cosines[k] = bundledCosine(cosines[k]!, meaning)
  return cosines
}

const isBundled = ({ unrelated, reworded }: Levels): boolean =>
  Math.abs(unrelated - bundledLevels.unrelated) < LEAST_SPREAD &&
  Math.abs(reworded - bundledLevels.reworded) < LEAST_SPREAD
