import { randomUUID } from 'node:crypto';

import type { Metadata } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';

import type { NodeConfig } from '../../config/node-config.js';
import { ChannelPool } from '../../runtime/channels.js';
import { systemClock } from '../../runtime/clock.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { Stopper } from '../../runtime/stopper.js';
import { tracingInterceptors } from '../../runtime/tracing/metadata.js';
import { noTracer } from '../../runtime/tracing/tracer.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import { VERSION } from '../../runtime/version.js';
import type { Coordinator, Registration } from '../../zookeeper/coordinator.js';
import { controllerService, limitsAmong } from './controller-service.js';
import type { NodeFacts } from './controller-service.js';
import type { Device, DeviceContext, KernelAccess, MakeDevice } from './device.js';
import { Directory } from './directory.js';
import { Grants } from './grants.js';
import type { CallRules } from './grpc-handlers.js';
import { Kernel } from './kernel.js';
import { Links } from './links.js';
import { KernelMetrics } from './metrics.js';
import { MetricsServer } from './metrics-server.js';
import { ObjectTable } from './capabilities/objects.js';
import { NodeMemory } from './memory/node-memory.js';
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
 * One node: a device behind its controller. `start` makes the device, serves and registers; `stop` refuses new work, leaves the registry,
 * drains, aborts after the grace period and closes everything.
 */
export class FractoryNode<S> {
  readonly #config: NodeConfig<S>;
  readonly #log: Logger;
  readonly #coordinator: Coordinator;
  readonly #makeDevice: MakeDevice<S>;
  readonly #stopper = new Stopper();
  readonly #stopping = new AbortController();
  readonly #security: Security;
  readonly #channels: ChannelPool;
  readonly #directory: Directory;
  readonly #objects: ObjectTable;
  readonly #kernel: Kernel;
  readonly #links: Links;
  readonly #grants: Grants;
  readonly #metrics: KernelMetrics;
  readonly #tracer: Tracer;
  readonly #memory: NodeMemory;
  readonly #epochListeners = new Set<() => void>();
  #device: Device | undefined;
  #registration: Registration | undefined;
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
      credentials: this.#security.channelCredentials(),
      interceptors: [this.#security.interceptor(), ...tracingInterceptors(this.#tracer)],
    });
    this.#directory = new Directory(parts.coordinator, systemClock);
    this.#objects = new ObjectTable(node.name, () => this.#device?.adaptor.operations ?? [], {
      limits,
    });
    this.#metrics = new KernelMetrics({
      data_center: dataCenter.name,
      member: node.name,
      type: node.type,
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
    this.#links = new Links({
      ...{ dataCenter: dataCenter.name, member: node.name, directory: this.#directory },
      ...{ channels: this.#channels, log: parts.log, wire: this.#metrics.wire.of },
      epoch: () => this.#objects.epoch,
      onRelease: (release) => {
        this.#kernel.release(release);
      },
      onInvocation: (invocation, link) => {
        try {
          this.#kernel.admit(invocation);
          link.admit(invocation.id);
        } catch (error) {
          link.refuse(invocation.id, error);
        }
      },
    });
    this.#kernel.attach(this.#links);
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
      this.#channels.retain(new Set(this.#directory.members().map((member) => member.address)));
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
    this.#stopper.add(() => {
      server.setServing(false);
    });
    this.#log.info(
      {
        address: this.#address,
        metrics: this.#metricsAddress(),
        epoch: String(this.#objects.epoch),
      },
      'node is serving',
    );
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    await this.#stopper.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #serve(device: Device): Promise<NodeServer> {
    const { node, dataCenter, root, limits } = this.#config;
    const server = new NodeServer(root);
    const parts = { kernel: this.#kernel, objects: this.#objects, links: this.#links };
    server.add(
      controllerService(this.#facts(device), {
        ...{ ...parts, memory: this.#memory, security: this.#security },
      }),
      this.#rules(false),
    );
    for (const service of device.services)
      server.add(service, this.#rules(node.routing === 'leader'));
    this.#stopper.use(this.#memory);
    this.#dataAddress = await this.#memory.start(dataCenter.grpcIp);
    const port = await server.start(dataCenter.grpcIp, node.port, this.#security);
    this.#address = bracketed(dataCenter.grpcIp, port);
    this.#stopper.add(async () => {
      this.#stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
      // Links never end by themselves: they go before the server waits for its calls.
      await this.#links.flushed();
      this.#links.close();
      await server.stop(STREAMS_GRACE_MS);
    });
    this.#stopper.add(() => this.#kernel.stop(limits.shutdown_grace_ms));
    return server;
  }

  async #register(): Promise<void> {
    const { node, dataCenter } = this.#config;
    const metrics = new MetricsServer(this.#metrics.registry);
    const metricsAddress = await metrics.start(dataCenter.grpcIp);
    this.#stopper.use(metrics);
    const registration = await this.#coordinator.register({
      ...{ id: node.name, type: node.type, routing: node.routing, address: this.#address },
      ...{ pid: process.pid, instance: randomUUID(), version: VERSION, metricsAddress },
      dataAddress: this.#dataAddress,
      startedAt: new Date().toISOString(),
    });
    this.#registration = registration;
    this.#stopper.add(() => registration.withdraw());
    this.#follow(registration);
    registration.subscribe(() => {
      this.#follow(registration);
    });
  }

  /** A new epoch is a new life: all objects of the one before are gone. */
  #follow(registration: Registration): void {
    const epoch = registration.member?.epoch ?? 0n;
    this.#metrics.leads.set(registration.leads ? 1 : 0);
    if (epoch === this.#objects.epoch) return;
    this.#log.info({ epoch: String(epoch) }, epoch === 0n ? 'registration ended' : 'registered');
    this.#kernel.reset();
    this.#objects.begin(epoch);
    for (const listener of [...this.#epochListeners]) listener();
  }

  #context(): DeviceContext<S> {
    const { settings, dataCenter, root, statePath, node } = this.#config;
    return {
      ...{ settings, storagePath: dataCenter.storagePath, root, statePath, member: node.name },
      ...{ log: this.#log, tracer: this.#tracer },
      peers: new DirectoryPeers(this.#directory, this.#channels),
      kernel: this.#access(),
      registry: this.#metrics.registry,
    };
  }

  #access(): KernelAccess {
    return {
      limits: this.#config.limits,
      epoch: () => this.#objects.epoch,
      onEpoch: (listener) => {
        this.#epochListeners.add(listener);
        return () => this.#epochListeners.delete(listener);
      },
      members: () => this.#directory.members(),
      pick: (type) => this.#directory.pick(type),
      suspect: (member) => {
        this.#directory.suspect(member);
      },
      connect: (member, signal) => this.#grants.of(member, signal),
      memory: this.#memory.access,
      addReply: (settle, ends) => this.#objects.addReply(settle, ends),
      continueWith: (heads, value, beginning) => this.#kernel.continueWith(heads, value, beginning),
      release: (member, release) => {
        this.#kernel.sendRelease(member, release);
      },
      dispatch: (invocation, settle) => {
        this.#kernel.dispatch(invocation, settle);
      },
      watch: (member, listener) => this.#links.watch(member, listener),
    };
  }

  #facts(device: Device): NodeFacts {
    const { dataCenter, node, limits, settings } = this.#config;
    return {
      ...{ dataCenter: dataCenter.name, member: node.name, type: node.type, routing: node.routing },
      ...{ version: VERSION, limits: { ...limitsAmong(settings), ...limits } },
      operations: device.adaptor.operations.map((operation) => operation.spec),
      leads: () => this.#registration?.leads ?? false,
      metricsAddress: () => this.#metricsAddress(),
    };
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
      check: (_method: string, metadata: Metadata) => {
        this.#security.checkCaller(metadata);
        if (leaderOnly) this.#checkLeadership();
      },
      ended: (method, code, seconds) => {
        this.#metrics.calls.observe({ method, code }, seconds);
      },
    };
  }

  #checkLeadership(): void {
    const { node } = this.#config;
    if (node.routing !== 'leader' || this.#registration?.leads) return;
    const leader = this.#directory.leader(node.type);
    const known = leader && leader.id !== node.name ? leader : undefined;
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'NOT_LEADER',
      known
        ? `${node.name} does not lead; ask ${known.id} at ${known.address}`
        : `${node.name} does not lead now; ask again shortly`,
      known
        ? { metadata: { leader: known.id, address: known.address, epoch: String(known.epoch) } }
        : {},
    );
  }
}

/** Time for streams under way, after the kernel has drained. */
const STREAMS_GRACE_MS = 1000;
