/*
 * Whether two labels mean the same, by the cosine of their vectors and by what a cosine does not see. Sentence models put things of one
 * kind beside each other: with the bundled one "TLS 1.2" and "TLS 1.3" have 0.95, "fungible token" and "non-fungible token" 0.95, "Vue 2"
 * and "Vue 3" 0.92, and labels that its tokeniser reads alike ("año", "ano") have 1.
 */

/** From here on two labels of different forms are the same tokens to the model: it did not tell them apart, so it says nothing of them. */
const SAME_TOKENS = 0.999_99

/**
 * @param cosine of the labels' vectors @param same the model's cosine of labels that mean the same, see meaning-cosines
 * @param a form of one label, see tagForm @param b form of the other
 */
export const meanTheSame = (cosine: number, same: number, a: string, b: string): boolean =>
  cosine >= same && cosine < SAME_TOKENS && !areToldApart(a, b)

/** Whether words that only one of two labels has make them two things: a number or a letter that counts, a "not", opposites. */
export function areToldApart(a: string, b: string): boolean {
  const [words, others] = [a.split(' '), b.split(' ')]
  const onlyA = words.filter((word) => !others.includes(word))
  const onlyB = others.filter((word) => !words.includes(word))
  if ([...onlyA, ...onlyB].some((word) => /\p{N}/u.test(word) || negations.has(word))) return true
  // "class B", "Elizabeth II", "C"; not the e of "e-mail".
  if ([onlyA, onlyB].some((only) => only.length === 1 && LETTER.test(only[0]!))) return true
  return onlyA.some((word) => onlyB.some((other) => areOpposite(word, other)))
}

/** A letter of its own, the s of "Moore's" apart, or a Roman numeral. */
const LETTER = /^(?!s$)\p{L}$|^[ivx]+$/u

const negations = new Set('non not no without anti off un against'.split(' '))

/** Groups of words of which two labels that differ in them are no variants of each other. */
const groupOf = new Map(
  `left right|north south east west northern southern eastern western|minimum maximum min max|minimal maximal|increase decrease|
increasing decreasing|input output|inputs outputs|import export|upload download|inner outer|internal external|upper lower|high low|public private|
before after|pre post|first second third fourth last|positive negative|horizontal vertical|encode decode|encoder decoder|encoding decoding|
encryption decryption|client server|sender receiver|buyer seller|producer consumer|male female|men women|man woman|hot cold|open closed|
synchronous asynchronous|sync async|static dynamic|local global|signed unsigned|read write|push pull|debit credit|up down|big little large small|
monday tuesday wednesday thursday friday saturday sunday|
january february march april may june july august september october november december|one two three four five six seven eight nine ten`
    .split(/\|\s*/)
    .flatMap((group, no) => group.split(' ').map((word) => [word, no] as const)),
)

/** "valid" and "invalid", "centralized" and "decentralized"; "left" and "right"; and no opposites, but as much two: "Notepad" and "Notepad++". */
function areOpposite(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  if (long.startsWith(short) && /^(?:(?:plus)+|sharp|star)$/.test(long.slice(short.length))) return true
  if (long.endsWith(short) && /^(?:non|un|in|im|il|ir|dis|de|anti|a)$/.test(long.slice(0, long.length - short.length)))
    return true
  const group = groupOf.get(a)
  return group !== undefined && group === groupOf.get(b)
}

/** Of "sailing" and "sailing for beginners" one is broader, however near they are. */
export const isBroader = (a: string, b: string): boolean => isPart(a, b) || isPart(b, a)

const isPart = (part: string, whole: string): boolean =>
  whole.length > part.length && part.split(' ').every((word) => whole.split(' ').includes(word))
