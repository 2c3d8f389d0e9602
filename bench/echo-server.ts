/**
 * The yardstick: a bare grpc-js server that answers SendMessage with fixed bytes and does nothing else. Run as its own process by bench/main.ts;
 * prints its port as one JSON line. What the broker reaches is quoted as a ratio to this, under the same generator in the same run.
 */
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js'

const identity = (bytes: Buffer): Buffer => bytes
/** status { code: 20000 } entries { status { code: 20000 } message_id: <34 bytes> } */
const reply = Buffer.from([
  0x0a,
  0x04,
  0x08,
  0xa0,
  0x9c,
  0x01,
  0x12,
  0x2a,
  0x0a,
  0x04,
  0x08,
  0xa0,
  0x9c,
  0x01,
  0x12,
  0x22,
  ...Buffer.alloc(34, 0x30),
])

const server = new Server({ 'grpc.max_receive_message_length': -1 })
server.addService(
  {
    SendMessage: {
      path: '/apache.rocketmq.v2.MessagingService/SendMessage',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    SendMessage: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, reply),
  },
)
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  process.stdout.write(`${JSON.stringify({ port })}\n`)
})
process.on('disconnect', () => process.exit(0))
