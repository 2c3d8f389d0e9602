/** The broker's use cases as the one object that the RPC floor and the simulated clients call. A line each: what is done is done in src/broker. */
import { ack } from '../broker/ack.ts'
import { createTopic, deleteTopic, describeGroup, describeTopic, ensureGroup, listGroups, listTopics } from '../broker/admin.ts'
import type { Broker } from '../broker/broker.ts'
import { changeInvisible } from '../broker/change-invisible.ts'
import { clusterStatus } from '../broker/cluster-status.ts'
import { clientSettings } from '../broker/client-settings.ts'
import { finalizeUpgrade } from '../broker/finalize-upgrade.ts'
import { forwardToDeadLetterQueue } from '../broker/forward-to-dlq.ts'
import { heartbeat, notifyTermination } from '../broker/heartbeat.ts'
import { receive } from '../broker/receive.ts'
import { queryAssignment, queryRoute } from '../broker/route.ts'
import { send } from '../broker/send.ts'
import type { BrokerDoor } from '../rpc/broker-door.ts'

export function openDoor(broker: Broker): BrokerDoor {
  return {
    send: (request, reply) => send(broker, request, reply),
    receive: (request, reply) => receive(broker, request, reply),
    ack: (request, reply) => ack(broker, request, reply),
    changeInvisible: (request, reply) => changeInvisible(broker, request, reply),
    forwardToDeadLetterQueue: (request, reply) => forwardToDeadLetterQueue(broker, request, reply),
    queryRoute: (request, reply) => queryRoute(broker, request, reply),
    queryAssignment: (request, reply) => queryAssignment(broker, request, reply),
    heartbeat: (request, reply) => heartbeat(broker, request, reply),
    settings: (request, reply) => clientSettings(broker, request, reply),
    terminate: (request, reply) => notifyTermination(broker, request, reply),
    createTopic: (request, reply) => createTopic(broker, request, reply),
    deleteTopic: (request, reply) => deleteTopic(broker, request, reply),
    listTopics: (request, reply) => listTopics(broker, request, reply),
    getTopic: (request, reply) => describeTopic(broker, request, reply),
    ensureGroup: (request, reply) => ensureGroup(broker, request, reply),
    listGroups: (request, reply) => listGroups(broker, request, reply),
    getGroup: (request, reply) => describeGroup(broker, request, reply),
    changeMembers: (request, reply) => broker.members.change(request, reply),
    members: () => broker.raft.membership(),
    transferLeader: (request, reply) => broker.leadership.transfer(request, reply),
    finalizeUpgrade: (request, reply) => finalizeUpgrade(broker, request, reply),
    clusterStatus: () => clusterStatus(broker),
    clientConnected: clientId => broker.clients.connected(clientId),
    clientDisconnected: clientId => broker.clients.disconnected(clientId),
  }
}
