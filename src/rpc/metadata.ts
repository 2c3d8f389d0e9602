/**
 * What a call says besides its request: who calls, and how long the caller waits. Go repeats its headers on every retry and they arrive joined
 * as "v, v", so of each header only what stands before the first comma counts. Nothing here is compulsory: which call needs a client id is the
 * handler's business.
 */

/** As node:http2 gives them: names in lower case; a header sent twice comes joined with ", ". */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Longer ids are not ids. */
const clientIdCharsMax = 1_024

/** The header as one text. */
export function singleValue(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value[0] : value
}

export function firstValue(headers: Headers, key: string): string | undefined {
  const value = singleValue(headers[key])
  if (value === undefined) return undefined
  const comma = value.indexOf(',')
  const first = (comma === -1 ? value : value.slice(0, comma)).trim()
  return first === '' ? undefined : first
}

export function clientIdOf(headers: Headers): string | undefined {
  const id = firstValue(headers, 'x-mq-client-id')
  return id !== undefined && id.length > clientIdCharsMax ? undefined : id
}

/** The Node client calls itself HTTP. */
export function isNodeClient(headers: Headers): boolean {
  const language = firstValue(headers, 'x-mq-language')
  return language === 'HTTP' || language === 'NODE_JS'
}

/** The answer must be on its way this long before the client gives up. */
const answerMarginMs = 300
/** A gateway waits no longer than this for a leader (DESIGN rule 17). */
const patienceMsMax = 2_500

/** Time for the answer: what is left less the margin, but at least half of what is left. Infinity when the caller set no deadline. */
export function answerTimeMs(leftMs: number): number {
  return Math.max(0, leftMs - Math.min(answerMarginMs, leftMs / 2))
}

/** How long a use case may take: rule 17. */
export function patienceMs(leftMs: number): number {
  return Math.min(answerTimeMs(leftMs), patienceMsMax)
}
