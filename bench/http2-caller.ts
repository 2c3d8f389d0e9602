/**
 * gRPC calls over node:http2 by hand: a load generator built on grpc-js would cost more than the server it measures.
 * One session per target, all calls as streams of it. Replies are collected whole.
 */
import * as http2 from 'node:http2'

export interface Caller {
  /** Sends one framed request; `done` gets the reply messages (without their 5-byte prefixes), or undefined when the call failed. */
  call(method: string, framed: Buffer, timeoutMs: number, done: (messages: readonly Buffer[] | undefined) => void): void
  close(): void
}

/** Puts the gRPC prefix (not compressed, length) in front of a message. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(5 + message.length)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, 5)
  return framed
}

export function openCaller(target: string, clientId: string): Caller {
  const session = http2.connect(`http://${target}`, { settings: { initialWindowSize: 4 * 1024 * 1024 }, maxSessionMemory: 256 })
  session.on('connect', () => session.setLocalWindowSize(16 * 1024 * 1024))
  session.on('error', () => {
    // Each open call sees its own error; the caller counts it there.
  })
  return {
    call(method, framed, timeoutMs, done) {
      const stream = session.request(
        {
          ':method': 'POST',
          ':path': `/apache.rocketmq.v2.MessagingService/${method}`,
          'content-type': 'application/grpc',
          te: 'trailers',
          'grpc-timeout': `${timeoutMs}m`,
          'x-mq-client-id': clientId,
          'x-mq-language': 'NODE_JS',
        },
        { endStream: false },
      )
      const chunks: Buffer[] = []
      let isDone = false
      let isOk = false
      const finish = (messages: readonly Buffer[] | undefined): void => {
        if (isDone) return
        isDone = true
        done(messages)
      }
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('trailers', (headers: http2.IncomingHttpHeaders) => {
        isOk = headers['grpc-status'] === '0'
      })
      stream.on('end', () => finish(isOk ? unframe(chunks) : undefined))
      stream.on('error', () => finish(undefined))
      stream.on('close', () => finish(undefined))
      stream.end(framed)
    },
    close: () => session.close(),
  }
}

function unframe(chunks: readonly Buffer[]): Buffer[] {
  const [first] = chunks
  const all = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
  const messages: Buffer[] = []
  for (let at = 0; at + 5 <= all.length;) {
    const length = all.readUInt32BE(at + 1)
    messages.push(all.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  return messages
}
