/** Addresses of members as text, as they stand in the log: `host:port`, an IPv6 host in brackets. */
import type { NetworkAddress } from '../../src/platform/network.ts'

export function formatAddress({ host, port }: NetworkAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** undefined: it is no address. */
export function parseAddress(text: string): NetworkAddress | undefined {
  const match = /^(?:\[([^\]\s]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || !(port >= 1 && port <= 65_535) ? undefined : { host, port }
}
