import type { ConfigOf } from '@tagloom/service-kit'
import Type from 'typebox'

/** Variables of this service, beside those that every service reads. */
export const environment = {
  PROPAGATE_CONCURRENCY: Type.Integer({
    default: 2,
    minimum: 1,
    maximum: 64,
    description: 'Batches of pages in hand at once: one is read and written while another is scored',
  }),
}
export type Config = ConfigOf<typeof environment>
