import { expect, test } from 'vitest'
import { Connections } from './connections.ts'

function recorded() {
  const events: string[] = []
  const connections = new Connections({
    clientConnected: id => events.push(`+${id}`),
    clientDisconnected: id => events.push(`-${id}`),
  })
  return { events, connections }
}

test('a client is there with its first connection and gone with its last', () => {
  const { events, connections } = recorded()
  connections.opened('a:1')
  connections.opened('a:2')
  connections.heard('a:1', 'c')
  connections.heard('a:1', 'c')
  connections.heard('a:2', 'c')
  connections.closed('a:1')
  expect(events).toEqual(['+c'])
  connections.closed('a:2')
  expect(events).toEqual(['+c', '-c'])
  expect(connections.clientCount).toBe(0)
})

test('several clients share a connection and go with it', () => {
  const { events, connections } = recorded()
  connections.opened('a:1')
  connections.heard('a:1', 'c')
  connections.heard('a:1', 'd')
  connections.closed('a:1')
  expect(events).toEqual(['+c', '+d', '-c', '-d'])
})

test('a call over a connection that closed meanwhile makes nobody present', () => {
  const { events, connections } = recorded()
  connections.heard('a:1', 'c')
  connections.closed('a:1')
  expect(events).toEqual([])
})

test('a port that is used again begins anew', () => {
  const { events, connections } = recorded()
  connections.opened('a:1')
  connections.heard('a:1', 'c')
  connections.opened('a:1')
  expect(events).toEqual(['+c', '-c'])
  expect(connections.connectionCount).toBe(1)
})
