import { randomUUID } from 'node:crypto';

import type { Metadata } from '@grpc/grpc-js';

import type { NodeConfig } from '../../config/node-config.js';
import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import { ChannelPool, linkOptions } from '../../runtime/channels.js';
import { systemClock } from '../../runtime/clock.js';
import { sleep } from '../../runtime/deadline.js';
import { unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { Stopper } from '../../runtime/stopper.js';
import { tracingInterceptors } from '../../runtime/tracing/metadata.js';
import { noTracer } from '../../runtime/tracing/tracer.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import { VERSION } from '../../runtime/version.js';
import type { Coordinator, Registration } from '../../zookeeper/coordinator.js';
import { CallRoom } from './call-room.js';
import { controllerService, limitsAmong } from './controller-service.js';
import type { NodeFacts } from './controller-service.js';
import type { Device, DeviceContext, MakeDevice } from './device.js';
import { Directory } from './directory.js';
import { Draining } from './draining.js';
import { NodeGossip } from './gossip/node.js';
import { Grants } from './grants.js';
import type { CallRules } from './grpc-handlers.js';
import { kernelAccess } from './kernel-access.js';
import { Kernel } from './kernel.js';
import { Leadership, notLeading } from './leadership.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import { KernelMetrics } from './metrics.js';
import { MetricsServer } from './metrics-server.js';
import { ObjectTable } from './capabilities/objects.js';
import { NodeMemory } from './memory/node-memory.js';
import { NodeLife } from './node-life.js';
import { DirectoryPeers } from './peers.js';
import { Security } from './security.js';
import { bracketed, NodeServer } from './server.js';

export interface NodeParts {
  readonly coordinator: Coordinator;
  readonly log: Logger;
  /** Owned by the node, which disposes of it at its stop. Default: nothing is traced. */
  readonly tracer?: Tracer;
}

/** How long a node waits for the coordinator at its start, ms. */
const COORDINATOR_TIMEOUT_MS = 60_000;

/**
 * One node: a device behind its controller. `start` makes the device, serves and registers; `drain` leaves the registry, refuses new work and
 * finishes what is under way; `stop` drains, aborts what is left after the grace period and closes everything.
 */
export class FractoryNode<S> {
  readonly #config: NodeConfig<S>;
  readonly #log: Logger;
  readonly #coordinator: Coordinator;
  readonly #makeDevice: MakeDevice<S>;
  readonly #stopper = new Stopper();
  readonly #stopping = new AbortController();
  readonly #draining: Draining;
  readonly #calls: CallRoom;
  readonly #rooms: NonNullable<CallRules['rooms']>;
  readonly #security: Security;
  readonly #channels: ChannelPool;
  readonly #directory: Directory;
  readonly #gossip: NodeGossip;
  readonly #objects: ObjectTable;
  readonly #kernel: Kernel;
  readonly #links: Links;
  readonly #grants: Grants;
  readonly #metrics: KernelMetrics;
  readonly #tracer: Tracer;
  readonly #memory: NodeMemory;
  readonly #life: NodeLife;
  #device: Device | undefined;
  #server: NodeServer | undefined;
  #registration: Registration | undefined;
  #leadership: Leadership | undefined;
  #address = '';
  #dataAddress = '';

  constructor(config: NodeConfig<S>, makeDevice: MakeDevice<S>, parts: NodeParts) {
    const { node, limits, dataCenter } = config;
    this.#config = config;
    this.#makeDevice = makeDevice;
    this.#log = parts.log;
    this.#coordinator = parts.coordinator;
    this.#tracer = parts.tracer ?? noTracer;
    this.#security = new Security(config.security, config.secret, node.name);
    this.#channels = new ChannelPool({
      ...{ options: linkOptions, credentials: this.#security.channelCredentials() },
      interceptors: [this.#security.interceptor(), ...tracingInterceptors(this.#tracer)],
    });
    this.#calls = new CallRoom(limits.max_invocations, 'calls under way');
    this.#directory = new Directory(parts.coordinator, systemClock, (member, standing, cause) => {
      this.#metrics.stands(member.id, standing);
      parts.log.info({ peer: member.id, standing, cause }, 'standing of a member changed');
    });
    this.#objects = new ObjectTable(node.name, () => this.#device?.adaptor.operations ?? [], {
      limits,
    });
    this.#metrics = new KernelMetrics({
      data_center: dataCenter.name,
      member: node.name,
      type: node.type,
    });
    this.#gossip = new NodeGossip({
      ...{ config: config.gossip, host: dataCenter.grpcIp, dataCenter: dataCenter.name },
      ...{ member: node.name, type: node.type, directory: this.#directory, log: parts.log },
      ...{ registry: this.#metrics.registry, underWay: () => this.#underWay },
    });
    this.#memory = new NodeMemory({
      ...{ dataCenter: dataCenter.name, member: node.name, objects: this.#objects },
      ...{ directory: this.#directory, channels: this.#channels, security: this.#security },
      ...{ limits, clock: systemClock, log: parts.log, metrics: this.#metrics },
    });
    this.#kernel = new Kernel({
      ...{ member: node.name, objects: this.#objects, limits, clock: systemClock },
      ...{ log: parts.log, metrics: this.#metrics, tracer: this.#tracer },
      memory: this.#memory.access,
      checkLeadership: () => {
        this.#checkLeadership();
      },
    });
    this.#life = new NodeLife({ objects: this.#objects, kernel: this.#kernel, log: parts.log });
    this.#links = new Links({
      ...{ dataCenter: dataCenter.name, member: node.name, directory: this.#directory },
      ...{ channels: this.#channels, log: parts.log, wire: this.#metrics.wire.of },
      epoch: () => this.#objects.epoch,
      onRelease: (release) => {
        this.#kernel.release(release);
      },
      onInvocation: (invocation, link) => {
        this.#take(invocation, link);
      },
    });
    this.#kernel.attach(this.#links);
    this.#rooms = {
      calls: this.#calls,
      streams: new CallRoom(limits.max_invocations, 'streams of runs and watches'),
    };
    this.#draining = new Draining({
      ...{ links: this.#links, log: parts.log, counts: () => this.#kernel.counts },
    });
    this.#metrics.follow(() => ({ ...this.#kernel.counts, objects: this.#objects.size }));
    this.#grants = new Grants(this.#directory, this.#channels);
  }

  /** host:port, once started. */
  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    this.#stopper.use(this.#tracer);
    this.#stopper.add(() => this.#coordinator.close());
    const connected = this.#coordinator.start(COORDINATOR_TIMEOUT_MS);
    connected.catch(() => undefined);
    const device = await this.#makeDevice(this.#context());
    this.#device = device;
    this.#stopper.add(async () => {
      await device[Symbol.asyncDispose]();
    });
    this.#directory.subscribe(() => {
      const lives = this.#directory.reachable().map(({ address, instance }) => [address, instance]);
      this.#channels.retainLives(new Map(lives.reverse() as [string, string][]));
    });
    this.#stopper.add(() => {
      this.#grants.close();
      this.#links.close();
      this.#directory.close();
      this.#channels.close();
    });
    const server = await this.#serve(device);
    await connected;
    await this.#register();
    server.setServing(true);
    this.#log.info(
      {
        address: this.#address,
        metrics: this.#metricsAddress(),
        epoch: String(this.#objects.epoch),
      },
      'node is serving',
    );
  }

  /**
   * Leaves the registry, so that the next member leads, refuses new work and finishes what is under way. Resolves with the number of operations and
   * calls that had not ended after `graceMs` (default: the limit `shutdown_grace_ms`). The node stays up, for nothing but `stop`. Idempotent.
   */
  drain(graceMs = this.#config.limits.shutdown_grace_ms): Promise<number> {
    const [registration, device, server] = [this.#registration, this.#device, this.#server];
    if (!registration || !device || !server) return Promise.resolve(0);
    const stopServing = (): void => {
      server.setServing(false);
    };
    const sayGoodbye = (): Promise<void> => this.#gossip.leave();
    const leaver = { registration, device, stopServing, sayGoodbye };
    return this.#draining.begin(leaver, graceMs);
  }

  /** Drains for `graceMs` at most (default: the limit `shutdown_grace_ms`), then ends what is left. Idempotent. */
  async stop(graceMs = this.#config.limits.shutdown_grace_ms): Promise<void> {
    await this.#drainWithin(graceMs);
    await this.#stopper.stop();
  }

  /** A drain that somebody began before may have more time than that. */
  async #drainWithin(graceMs: number): Promise<void> {
    const drained = new AbortController();
    const late = sleep(Math.max(graceMs, LEAVING_MS), drained.signal).catch(() => undefined);
    await Promise.race([this.drain(graceMs), late]);
    drained.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #serve(device: Device): Promise<NodeServer> {
    const { node, dataCenter, root, limits } = this.#config;
    const server = new NodeServer(root, limits);
    this.#server = server;
    const parts = { kernel: this.#kernel, objects: this.#objects, links: this.#links };
    server.add(
      controllerService(this.#facts(device), {
        ...{ ...parts, memory: this.#memory, security: this.#security },
        drain: (graceMs) => this.drain(graceMs),
      }),
      this.#rules(false),
    );
    for (const service of device.services)
      server.add(service, this.#rules(node.routing === 'leader'));
    this.#stopper.use(this.#memory);
    this.#dataAddress = await this.#memory.start(dataCenter.grpcIp);
    const port = await server.start(
      ...([dataCenter.grpcIp, node.port, this.#security, node.preferredPort] as const),
    );
    this.#address = bracketed(dataCenter.grpcIp, port);
    this.#stopper.add(async () => {
      // Whoever watches a capability hears that its owner's life is over.
      this.#objects.begin(0n);
      await this.#links.flushed();
      this.#stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
      // Links never end by themselves: they go before the server waits for its calls.
      await this.#links.flushed();
      this.#links.close();
      await server.stop(STREAMS_GRACE_MS);
    });
    this.#stopper.add(() => this.#kernel.stop(0));
    return server;
  }

  async #register(): Promise<void> {
    const { node, dataCenter } = this.#config;
    const metrics = new MetricsServer(this.#metrics.registry);
    const metricsAddress = await metrics.start(dataCenter.grpcIp);
    this.#stopper.use(metrics);
    const instance = randomUUID();
    this.#stopper.use(this.#gossip);
    const gossipAddress = await this.#gossip.start(instance, this.#address);
    const registration = await this.#coordinator.register({
      ...{ id: node.name, type: node.type, routing: node.routing, address: this.#address },
      ...{ pid: process.pid, instance, version: VERSION, metricsAddress, gossipAddress },
      dataAddress: this.#dataAddress,
      startedAt: new Date().toISOString(),
    });
    this.#registration = registration;
    const leadership = new Leadership(registration, {
      ...{ coordinator: this.#coordinator, directory: this.#directory, links: this.#links },
      ...{ channels: this.#channels, log: this.#log },
      onChange: () => {
        this.#follow(registration);
      },
    });
    this.#leadership = leadership;
    this.#follow(registration);
    this.#stopper.add(() => {
      leadership.close();
    });
  }

  #follow(registration: Registration): void {
    const epoch = registration.member?.epoch ?? 0n;
    const leads = this.#leads;
    this.#metrics.leads.set(leads ? 1 : 0);
    // Whoever leaves in good order says goodbye as the one it was: in its last epoch.
    if (!this.#draining.hasBegun) this.#gossip.registered(epoch);
    this.#life.follow(epoch, leads, this.#draining.hasBegun);
  }

  #context(): DeviceContext<S> {
    const { settings, dataCenter, root, statePath, node, limits } = this.#config;
    return {
      ...{ settings, storagePath: dataCenter.storagePath, root, statePath, member: node.name },
      ...{ log: this.#log, tracer: this.#tracer },
      peers: new DirectoryPeers(this.#directory, this.#channels),
      kernel: kernelAccess({
        ...{ limits, life: this.#life, objects: this.#objects, directory: this.#directory },
        ...{ grants: this.#grants, kernel: this.#kernel, links: this.#links },
        memory: this.#memory.access,
        leads: () => this.#leads,
        stepBack: async (above) => this.#leadership?.stepBack(above),
      }),
      registry: this.#metrics.registry,
    };
  }

  #facts(device: Device): NodeFacts {
    const { dataCenter, node, limits, settings } = this.#config;
    return {
      ...{ dataCenter: dataCenter.name, member: node.name, type: node.type, routing: node.routing },
      ...{ version: VERSION, limits: { ...limitsAmong(settings), ...limits } },
      operations: device.adaptor.operations.map((operation) => operation.spec),
      leads: () => this.#leads,
      coordinated: () => this.#coordinator.state === 'connected',
      metricsAddress: () => this.#metricsAddress(),
      gossip: () => this.#gossip.view(),
    };
  }

  #take(invocation: Invocation, link: Link): void {
    try {
      this.#kernel.admit(invocation);
      link.admit(invocation.id);
    } catch (error) {
      link.refuse(invocation.id, error);
    }
  }

  /** Operations and calls. */
  get #underWay(): number {
    return this.#kernel.counts.running + this.#calls.inside;
  }

  get #leads(): boolean {
    return this.#leadership?.serves ?? false;
  }

  #metricsAddress(): string {
    return this.#registration?.member?.metricsAddress ?? '';
  }

  #rules(leaderOnly: boolean): CallRules {
    const { default_budget_ms, max_budget_ms } = this.#config.limits;
    return {
      ...{ log: this.#log, tracer: this.#tracer },
      defaultBudgetMs: default_budget_ms,
      maxBudgetMs: max_budget_ms,
      stopping: this.#stopping.signal,
      isController: (metadata) => this.#security.isController(metadata),
      check: (method: string, metadata: Metadata) => {
        this.#security.checkCaller(metadata);
        if (leaderOnly) this.#checkLeadership();
        else this.#draining.check(method);
      },
      ...(leaderOnly && { ready: (metadata: Metadata) => this.#servesSoon(metadata) }),
      track: this.#draining.track,
      rooms: this.#rooms,
      ended: (method, code, seconds) => {
        this.#metrics.calls.observe({ method, code }, seconds);
      },
    };
  }

  #servesSoon(metadata: Metadata): Promise<void> | undefined {
    if (this.#draining.hasBegun) return undefined;
    const soon = this.#leadership?.servesSoon();
    if (soon) this.#security.checkCaller(metadata);
    return soon;
  }

  #checkLeadership(): void {
    const { name, type, routing } = this.#config.node;
    if (routing === 'leader' && !this.#leads) throw notLeading(name, this.#directory.leader(type));
  }
}

/** Time to leave the registry where there is none to finish anything, ms. */
const LEAVING_MS = 100;
/** Time for streams under way, after the kernel has drained. */
const STREAMS_GRACE_MS = 1000;
