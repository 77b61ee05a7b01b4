import Format from 'typebox/format'

/** As `toISOString` writes it, on a day that every month has */
const asWritten = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/

/**
 * The same date-times pass as before, those that we write ourselves by one expression: the library's check takes them apart, which for the
 * three of a sample was a third of checking it.
 */
export function checkDateTimesFaster(): void {
  Format.Set('date-time', (value) => asWritten.test(value) || Format.IsDateTime(value))
}
