import { customType, timestamp } from 'drizzle-orm/pg-core'

/** Raw bytes, as a Node Buffer. */
export const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => 'bytea' })

export const createdAt = () => timestamp('created_at', { withTimezone: true, precision: 3 }).notNull().defaultNow()
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3 })
