import { expect, test } from 'vitest'
import { FakeWorld, codeOf, type Heard } from './testing/fake-world.ts'
import type { AssignmentAnswer, RouteAnswer } from './requests.ts'
import { queryAssignment, queryRoute } from './route.ts'

function route(world: FakeWorld, gateway: number, topic = 't'): Heard<RouteAnswer> {
  return world.ask(reply => queryRoute(world.broker(gateway), { ...world.asked(), topic }, reply))
}

function assignment(world: FakeWorld, gateway: number): Heard<AssignmentAnswer> {
  return world.ask(reply => queryAssignment(world.broker(gateway), { ...world.asked(), topic: 't', consumerGroup: 'g' }, reply))
}

function names({ answer }: Heard<RouteAnswer> | Heard<AssignmentAnswer>): string[] {
  return answer !== undefined && 'brokers' in answer ? answer.brokers.map(({ name }) => name) : []
}

test('the route names every node with its own address, in one order from every node', () => {
  const world = new FakeWorld()
  world.createTopic('t', 'normal', 8)
  const heard = [1, 2, 3].map(id => route(world, id))
  world.clock.advance(1)
  for (const { answer } of heard) {
    expect(answer).toEqual({
      kind: 'route',
      topic: 't',
      type: 'normal',
      queueCount: 8,
      brokers: [1, 2, 3].map(id => ({ name: `n${id}`, host: '127.0.0.1', port: 8000 + id })),
    })
  }
})

test('a dead node leaves every route within 3 s, and comes back after 5 s of being well', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(3, true)
  world.clock.advance(1_500)
  const early = route(world, 2)
  world.clock.advance(1_500)
  const late = [1, 2].map(id => route(world, id))
  world.clock.advance(1)
  expect(names(early)).toEqual(['n1', 'n2', 'n3'])
  expect(late.map(names)).toEqual([['n1', 'n2'], ['n1', 'n2']]) // prettier-ignore
  world.group.setSilent(3, false)
  world.clock.advance(4_500)
  const stillOut = route(world, 2)
  world.clock.advance(1_000)
  const back = route(world, 2)
  world.clock.advance(1)
  expect(names(stillOut)).toEqual(['n1', 'n2'])
  expect(names(back)).toEqual(['n1', 'n2', 'n3'])
})

test('when most nodes are down in the log a route names all: who came back is not up in it before somebody leads again (seed 9007)', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(2, true)
  world.group.setSilent(3, true)
  world.clock.advance(3_000)
  world.group.elect(undefined)
  expect([1, 2, 3].map(id => world.at(2).machine.isNodeUp(id))).toEqual([true, false, false])
  const heard = route(world, 2)
  world.clock.advance(1)
  expect(names(heard)).toEqual(['n1', 'n2', 'n3'])
})

test('a node that is not heard for a second and a half, again and again, stays in every route', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  for (let i = 0; i < 3; i++) {
    world.group.setSilent(3, true)
    world.clock.advance(1_500)
    world.group.setSilent(3, false)
    world.clock.advance(500)
    const heard = [1, 2, 3].map(id => route(world, id))
    world.clock.advance(1)
    expect(heard.map(names)).toEqual([1, 2, 3].map(() => ['n1', 'n2', 'n3']))
  }
})

test('a leader that is lost leaves the routes 2 s after it was lost, however long the election took', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(1, true)
  world.group.elect(undefined)
  world.clock.advance(1_200)
  world.group.elect(2)
  world.clock.advance(600)
  expect(world.at(3).machine.isNodeUp(1)).toBe(true)
  world.clock.advance(500)
  expect(world.at(3).machine.isNodeUp(1)).toBe(false)
})

test('a node whose applies stay behind leaves the route', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.clock.advance(2_500)
  world.at(3).node.isHeld = true
  world.send(1, 't', 'x')
  world.clock.advance(6_000)
  const heard = route(world, 2)
  world.clock.advance(1)
  expect(names(heard)).toEqual(['n1', 'n2'])
})

test('an assignment keeps a dead node for a minute', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(3, true)
  world.clock.advance(10_000)
  const kept = assignment(world, 2)
  world.clock.advance(60_000)
  const dropped = assignment(world, 2)
  world.clock.advance(1)
  expect(names(kept)).toEqual(['n1', 'n2', 'n3'])
  expect(names(dropped)).toEqual(['n1', 'n2'])
})

test('an assignment keeps a node that goes down again for a minute again', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(3, true)
  world.clock.advance(10_000)
  world.group.setSilent(3, false)
  world.clock.advance(60_000)
  expect(world.at(2).machine.isNodeUp(3)).toBe(true)
  world.group.setSilent(3, true)
  world.clock.advance(10_000)
  expect(world.at(2).machine.isNodeUp(3)).toBe(false)
  const kept = assignment(world, 2)
  world.clock.advance(1)
  expect(names(kept)).toEqual(['n1', 'n2', 'n3'])
})

test('a node that was called down is up as soon as it leads', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(3, true)
  world.clock.advance(3_000)
  expect(world.at(2).machine.isNodeUp(3)).toBe(false)
  world.group.setSilent(3, false)
  world.group.elect(3)
  world.clock.advance(300)
  for (const { machine } of world.gateways) expect(machine.isNodeUp(3)).toBe(true)
})

test('the leader has the replicas compared at each thousandth entry, once', () => {
  const world = new FakeWorld()
  const digestCheckKind = 11
  world.createTopic('t')
  for (let i = 0; i < 1_000; i++) world.send(1, 't', `m${i}`)
  world.clock.advance(20)
  expect(world.at(1).machine.appliedIndex).toBeGreaterThan(1_000)
  world.clock.advance(11_000)
  expect(world.entries(digestCheckKind)).toBe(1)
  world.clock.advance(30_000)
  expect(world.entries(digestCheckKind)).toBe(1)
})

test('an unknown topic is unknown only after a barrier, also for a node that lags', () => {
  const world = new FakeWorld()
  world.at(3).node.isHeld = true
  world.createTopic('t')
  const known = route(world, 3)
  const unknown = route(world, 2, 'nowhere')
  world.clock.advance(50)
  expect(known.answer).toBeUndefined()
  expect(codeOf(unknown)).toBe('topicNotFound')
  world.group.release(3)
  expect(codeOf(known)).toBe('route')
})

test('a known route is answered without a leader', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.elect(undefined)
  const heard = route(world, 2)
  world.clock.advance(1)
  expect(codeOf(heard)).toBe('route')
})

test('a change of leader marks nobody down', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  for (let i = 0; i < 6; i++) {
    world.group.elect(1 + (i % 3))
    world.clock.advance(1_000)
  }
  for (const { machine } of world.gateways) expect([1, 2, 3].map(id => machine.isNodeUp(id))).toEqual([true, true, true])
})

test('a node that was removed and hears of no leader gives no route: it does not know who serves now', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.at(2).node.isRemoved = true
  const told = route(world, 2)
  world.group.elect(undefined)
  const asked = [route(world, 2), assignment(world, 2)]
  const unknown = route(world, 2, 'nowhere')
  world.clock.advance(1)
  expect(names(told)).toEqual(['n1', 'n2', 'n3'])
  expect([...asked, unknown].map(codeOf)).toEqual(['haNotAvailable', 'haNotAvailable', 'haNotAvailable'])
})
