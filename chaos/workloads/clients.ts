/** All clients of a world: producers and consumers as the configuration wants them, consumers that die in the storm, and those that come in their place. */
import { spread } from '../chance.ts'
import { hasFeature, type ConsumerGroupPlan } from '../configuration.ts'
import type { SimRandom } from '../sim/random.ts'
import type { ClientWorld } from './client-world.ts'
import { Consumer } from './consumer.ts'
import { Producer } from './producer.ts'

/** Of the consumers of a seed with deaths. */
const deathPpm = 400_000

export class Clients {
  readonly #world: ClientWorld
  readonly #deaths: (consumerGroup: string) => SimRandom
  readonly #consumers: Consumer[] = []

  /** `deaths`: a stream for each consumer group. */
  constructor(world: ClientWorld, deaths: (consumerGroup: string) => SimRandom) {
    this.#world = world
    this.#deaths = deaths
  }

  /** Topics and groups are there. */
  start(): void {
    const { configuration } = this.#world
    const floors = new Map<string, (number | undefined)[]>()
    for (let i = 0; i < configuration.producers; i += 1) {
      const clientId =
        hasFeature(configuration, 'twins') && i < 2 ? 'twin' : i === 2 && !configuration.hasPlainBodies ? undefined : `producer-${i}`
      new Producer(this.#world, { name: `${i}`, clientId }, floors).start()
    }
    for (const group of configuration.consumerGroups) {
      for (const topic of group.topics) {
        for (let i = 0; i < group.consumers; i += 1) this.#startConsumer(group, topic, i)
      }
      if (hasFeature(configuration, 'deaths')) this.#planDeaths(group)
    }
  }

  /** Consumers go home. Producers stop by themselves, when no more load is wanted. */
  stop(): void {
    for (const consumer of this.#consumers) consumer.stop()
  }

  #startConsumer(group: ConsumerGroupPlan, topic: string, number: number): void {
    const consumer = new Consumer(this.#world, group, topic, number)
    this.#consumers.push(consumer)
    consumer.start()
  }

  /** Some consumers die in the storm, with all that they have of every topic; each time another process comes a little later. */
  #planDeaths(group: ConsumerGroupPlan): void {
    const { scheduler, configuration } = this.#world
    const draw = this.#deaths(group.name)
    for (let i = 0; i < group.consumers; i += 1) {
      if (!draw.chance(deathPpm)) continue
      const { clientId } = this.#consumers.find(consumer => consumer.isOf(group.name, i)) ?? {}
      scheduler.schedule(draw.next() * (configuration.stormEndMs - scheduler.nowMs), () => {
        for (const consumer of this.#consumers) if (consumer.clientId === clientId) consumer.die()
        scheduler.schedule(spread(draw, 100, 5_000), () => {
          for (const topic of group.topics) this.#startConsumer(group, topic, group.consumers + i)
        })
      })
    }
  }
}
