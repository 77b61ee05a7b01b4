/**
 * Text without marks that nobody sees: of direction and width, and those of Unicode's tag block, in which a text can be hidden from people.
 * Joiners between letters stay: they are spelling in Persian and Hindi, and in emoji.
 */
export const withoutInvisible = (text: string): string =>
  text.replace(/(?![\u200C\u200D])\p{Cf}|(?<![\p{L}\p{M}\p{Emoji}])[\u200C\u200D]|[\u200C\u200D]$/gu, '')
