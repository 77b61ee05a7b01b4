import Format from 'typebox/format'

const day = '(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31'

/** Expression of a date-time as `toISOString` writes it; the 29th of February is left to the library. */
export const isoDateTime = String.raw`\d{4}-(?:${day})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z`

const asWritten = new RegExp(`^${isoDateTime}$`)

/**
 * The same date-times pass as before, those that we write ourselves by one expression: the library's check takes them apart, which for the
 * three of a sample was a third of checking it.
 */
export function checkDateTimesFaster(): void {
  Format.Set('date-time', (value) => asWritten.test(value) || Format.IsDateTime(value))
}
