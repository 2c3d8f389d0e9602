/** Sends that must be refused, each with its documented code. */
import { brokenProtobuf, inMs, rowsOf, type BadRequest } from './bad-request-rows.ts'
import { encoded, goodMessage, v2 } from './wire.ts'

export function badSends(): BadRequest[] {
  const { rows, byBytes, byState } = rowsOf('SendMessage')
  const good = (system: object = {}, rest: object = {}, topic = 'plain'): object => goodMessage(topic, 'bad-1', system, rest)
  const one = (message: object): Buffer => encoded(v2.SendMessageRequest, { messages: [message] })
  const many = (...messages: object[]): Buffer => encoded(v2.SendMessageRequest, { messages })
  const named = (topic: string): Buffer => one(goodMessage(topic, 'bad-1'))
  const withProperties = (userProperties: object): Buffer => one(good({}, { userProperties }))
  const entries = (count: number, bytes: number): object =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`name-${i}`, 'v'.repeat(bytes)]))

  byBytes('no client id', 40017, one(good()), { 'x-mq-client-id': undefined })
  byBytes('blank client id', 40017, one(good()), { 'x-mq-client-id': ' ' })
  byBytes('client id of 2 000 characters', 40017, one(good()), { 'x-mq-client-id': 'c'.repeat(2_000) })
  byBytes('blank topic', 40002, named('  '))
  byBytes('no topic', 40002, one({ ...good(), topic: undefined }))
  byBytes('topic of 128 characters', 40002, named('t'.repeat(128)))
  byBytes('dead letter topic of 256 characters', 40002, named(`%DLQ%${'t'.repeat(251)}`))
  byBytes('space in the topic', 40002, named('plain text'))
  byBytes('topic with an umlaut', 40002, named('pläin'))
  byBytes('topic with a path in it', 40002, named('../plain'))
  byBytes('system topic TBW102', 40002, named('TBW102'))
  byBytes('system topic by its prefix', 40002, named('rmq_sys_wheel_timer'))
  byState('unknown topic', 40402, named('nowhere'))
  byBytes('no message', 40016, many())
  byBytes('two topics in a batch', 40016, many(good(), good({}, {}, 'other')))
  byBytes('two message groups in a batch', 40016, many(fifo('a'), fifo('b')))
  byBytes('two types in a batch', 40016, many(good(), fifo('a')))
  byBytes('a bad message behind a good one', 41302, many(good(), good({}, { body: Buffer.alloc(0) })))
  byBytes('more messages than are looked at', 40000, many(...Array.from({ length: 1_025 }, () => good())))
  byBytes('batch of 20 MiB', 41300, many(...Array.from({ length: 5 }, () => good({}, { body: Buffer.alloc(4 * 1024 * 1024, 1) }))))
  byBytes('empty body', 41302, one(good({}, { body: Buffer.alloc(0) })))
  byBytes('body of 4 MiB and a byte', 41301, one(good({}, { body: Buffer.alloc(4 * 1024 * 1024 + 1, 1) })))
  byBytes('129 properties', 43101, withProperties(entries(129, 1)))
  byBytes('properties of more than 16 KiB', 43101, withProperties({ name: 'v'.repeat(16 * 1024) }))
  byBytes(
    'tag, keys and properties together over 16 KiB',
    43101,
    one(good({ tag: 't'.repeat(6_000), keys: ['k'.repeat(6_000)] }, { userProperties: { name: 'v'.repeat(6_000) } })),
  )
  byBytes('reserved property KEYS', 40007, withProperties({ KEYS: 'x' }))
  byBytes('reserved property __CRC32#', 40007, withProperties({ '__CRC32#': 'x' }))
  byBytes('control character in a property name', 40007, withProperties({ 'a\u0001b': 'x' }))
  byBytes('control character in a property value', 40007, withProperties({ name: 'x\u0000' }))
  byBytes('blank tag', 40004, one(good({ tag: ' ' })))
  byBytes('tag with |', 40004, one(good({ tag: 'a|b' })))
  byBytes('control character in the tag', 40004, one(good({ tag: 'a\nb' })))
  byBytes('blank key', 40005, one(good({ keys: ['fine', ' '] })))
  byBytes('control character in a key', 40005, one(good({ keys: ['a\u007fb'] })))
  byBytes('blank message group', 40006, one(fifo('  ')))
  byBytes('message group of 64 bytes', 40006, one(fifo('ä'.repeat(32))))
  byBytes('control character in the message group', 40006, one(fifo('a\tb')))
  byBytes('FIFO without a message group', 40006, one(goodMessage('ordered', 'bad-1', { messageType: v2.MessageType.FIFO })))
  byBytes('no message id', 40009, one(good({ messageId: '' })))
  byBytes('blank message id', 40009, one(good({ messageId: '   ' })))
  byBytes('delay of more than a day', 40012, one(good({ messageType: v2.MessageType.DELAY, deliveryTimestamp: inMs(25 * 3_600_000) })))
  byBytes('DELAY without a delivery time', 40012, one(good({ messageType: v2.MessageType.DELAY })))
  byBytes('NORMAL with a delivery time', 40014, one(good({ deliveryTimestamp: inMs(1_000) })))
  byBytes('NORMAL with a message group', 40014, one(good({ messageGroup: 'a' })))
  byBytes('unheard-of message type', 40014, one(good({ messageType: 77 })))
  byState('NORMAL to a FIFO topic', 40014, named('ordered'))
  byState('FIFO to a normal topic', 40014, one(goodMessage('plain', 'bad-1', { messageType: v2.MessageType.FIFO, messageGroup: 'a' })))
  byState('DELAY to a normal topic', 40014, one(good({ messageType: v2.MessageType.DELAY, deliveryTimestamp: inMs(1_000) })))
  byState('TRANSACTION to a normal topic', 40014, one(good({ messageType: v2.MessageType.TRANSACTION })))
  byBytes('broken protobuf', 40000, brokenProtobuf)
  byBytes('a message of the wrong wire type', 40000, Buffer.from([0x08, 0x01]))
  byBytes('two topics in a message', 40000, nested(Buffer.concat([resource('plain'), resource('plain')])))
  byBytes('a topic that is not UTF-8', 40000, nested(Buffer.from([0x0a, 0x03, 0x12, 0x01, 0xff])))
  byBytes('random bytes', 40000, Buffer.from('f3c08a77d1e0b5529cffeeddccbbaa99887766554433221100', 'hex'))
  return rows

  function fifo(messageGroup: string): object {
    return goodMessage('ordered', 'bad-1', { messageType: v2.MessageType.FIFO, messageGroup })
  }
}

/** SendMessageRequest { 1 messages } around the bytes of a message. */
function nested(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0a, message.length]), message])
}

/** Message { 1 topic { 2 name } }. */
function resource(name: string): Buffer {
  return Buffer.concat([Buffer.from([0x0a, name.length + 2, 0x12, name.length]), Buffer.from(name)])
}
