import { lookup as resolve } from 'node:dns/promises'
import { request as httpRequest, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { OutgoingRequest } from './requests.ts'

/** How a try ended: an HTTP answer, or what went wrong before one came. `reason` holds no part of URL, body or answer. */
export type SendResult =
  | { readonly status: number; readonly retryAfter?: string | undefined }
  | { readonly reason: string; readonly refused?: boolean }

export interface SendOptions {
  readonly timeoutMs: number
  /** Whether loopback, private and other special addresses may be called */
  readonly allowPrivate: boolean
  readonly signal?: AbortSignal
}

class AddressRefused extends Error {}

/** Global unicast only: loopback, private, link-local (cloud metadata), mapped, NAT64 and other special ranges are not. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  return ipaddr.process(address).range() === 'unicast'
}

/**
 * One POST. Redirects are not followed, and the address that was checked is the one that is connected to: the check sits in the
 * socket's own look-up, so a name that answers differently the second time gains nothing.
 */
export async function send(request: OutgoingRequest, options: SendOptions): Promise<SendResult> {
  const url = new URL(request.url)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) && !options.allowPrivate && !isPublicAddress(host)) return refused(host)
  const timeout = AbortSignal.timeout(options.timeoutMs)
  const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout
  try {
    return await post(url, request, {
      signal,
      method: 'POST',
      headers: { ...request.headers, 'content-length': Buffer.byteLength(request.body) },
      agent: false,
      ...(options.allowPrivate ? {} : { lookup: publicLookup }),
    })
  } catch (error) {
    if (error instanceof AddressRefused) return refused(host)
    if (timeout.aborted) return { reason: `no answer within ${options.timeoutMs} ms` }
    return { reason: `could not be reached: ${(error as NodeJS.ErrnoException).code ?? (error as Error).name}` }
  }
}

const refused = (host: string): SendResult => ({
  reason: `${host} is a private address, which is refused unless ALERT_ALLOW_PRIVATE_ADDRESSES=true`,
  refused: true,
})

function post(url: URL, request: OutgoingRequest, options: RequestOptions): Promise<SendResult> {
  return new Promise((fulfil, reject) => {
    const call = url.protocol === 'https:' ? httpsRequest : httpRequest
    const sent = call(url, options, (response) => {
      const retryAfter = response.headers['retry-after']
      // The status says all; an answer of any length is not worth reading.
      response.destroy()
      fulfil({ status: response.statusCode as number, retryAfter })
    })
    sent.on('error', reject)
    sent.end(request.body)
  })
}

const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { all: true, family: Number(options.family ?? 0) }).then(
    (addresses) => {
      const bad = addresses.some(({ address }) => !isPublicAddress(address))
      const first = addresses[0]
      if (bad || !first) callback(new AddressRefused(hostname), '', 4)
      else if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    },
    (error: Error) => callback(error as NodeJS.ErrnoException, '', 4),
  )
}
