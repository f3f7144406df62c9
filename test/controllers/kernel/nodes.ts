import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { z } from 'zod';

import { DataCenter } from '../../../applications/sdk/data-center.js';
import type { GossipConfig, SecurityConfig } from '../../../config/node-config.js';
import { limitsSection } from '../../../config/limits.js';
import type { Limits } from '../../../config/limits.js';
import { makeBlockDevice } from '../../../controllers/block/device.js';
import { settings as blockSettings } from '../../../controllers/block/settings.js';
import { makeApplicationDevice } from '../../../controllers/application/device.js';
import type { MakeDevice } from '../../../controllers/kernel/device.js';
import { FractoryNode } from '../../../controllers/kernel/node.js';
import { makeMathDevice } from '../../../controllers/math/device.js';
import { settings as mathSettings } from '../../../controllers/math/settings.js';
import { makeStorageDevice } from '../../../controllers/storage/device.js';
import { settings as storageSettings } from '../../../controllers/storage/settings.js';
import { silentLogger } from '../../../runtime/logger.js';
import { noTracer } from '../../../runtime/tracing/tracer.js';
import type { Tracer } from '../../../runtime/tracing/tracer.js';
import { createCoordinator } from '../../../zookeeper/create.js';
import type { Coordinator } from '../../../zookeeper/coordinator.js';
import { EmbeddedCoordinator } from '../../../zookeeper/embedded/server.js';

export const SECRET = 'f'.repeat(64);
const NAMES = { dataCenter: 'test', secret: SECRET };

export interface RunningNode {
  readonly name: string;
  readonly node: Pick<FractoryNode<unknown>, 'address' | 'start' | 'stop' | 'drain'>;
  readonly coordinator: Coordinator;
}

export interface NodesOptions {
  readonly security?: SecurityConfig;
  readonly limits?: Partial<Limits>;
  /** `host:port,...` of a ZooKeeper ensemble that runs. Default: the embedded coordinator. */
  readonly zookeeper?: string;
  /** Default 2,000: whoever is busy for longer doubts that it leads. */
  readonly sessionTimeoutMs?: number;
  /** Default: nobody gossips. */
  readonly gossip?: GossipConfig;
  /** Default: nothing is traced. */
  readonly tracerFor?: (member: string) => Tracer;
}

/** A data center in one process: real nodes, real gRPC on loopback, the embedded coordinator. */
export class Nodes {
  readonly folder: string;
  readonly #options: NodesOptions;
  readonly #coordinator: EmbeddedCoordinator;
  readonly #running = new Map<string, RunningNode>();
  readonly #clients: DataCenter[] = [];

  private constructor(folder: string, coordinator: EmbeddedCoordinator, options: NodesOptions) {
    this.folder = folder;
    this.#coordinator = coordinator;
    this.#options = options;
  }

  static async start(options: NodesOptions = {}): Promise<Nodes> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'fractory-nodes-'));
    const coordinator = new EmbeddedCoordinator({
      ...{ host: '127.0.0.1', log: silentLogger() },
      ...NAMES,
    });
    await coordinator.start();
    return new Nodes(folder, coordinator, options);
  }

  /** `given`: keys of its section, as text. */
  storage(name: string, given: Readonly<Record<string, string>> = {}): Promise<RunningNode> {
    return this.#add(name, 'leader', makeStorageDevice, storageSettings.parse(given));
  }

  /** `given`: keys of its section, as text. Started again under the same name it has the same device file. */
  block(name: string, given: Readonly<Record<string, string>> = {}): Promise<RunningNode> {
    return this.#add(name, 'any', makeBlockDevice, blockSettings.parse(given));
  }

  math(
    name: string,
    make: MakeDevice<z.output<typeof mathSettings>> = makeMathDevice,
    port = 0,
  ): Promise<RunningNode> {
    return this.#add(name, 'any', make, mathSettings.parse({}), port);
  }

  application(name: string): Promise<RunningNode> {
    return this.#add(name, 'leader', makeApplicationDevice, {});
  }

  node(name: string): RunningNode {
    return this.#running.get(name)!;
  }

  /** A client of these application nodes, all by default. */
  client(...names: string[]): DataCenter {
    const chosen = [...this.#running.values()].filter(({ name }) =>
      names.length > 0 ? names.includes(name) : name.startsWith('application'),
    );
    const { security } = this.#options;
    const client = new DataCenter({
      application: 'test',
      applicationNodes: chosen.map(({ node }) => node.address),
      credentials: security?.mode === 'token' ? security : { mode: 'open' },
    });
    this.#clients.push(client);
    return client;
  }

  async stop(name: string): Promise<void> {
    const running = this.#running.get(name);
    this.#running.delete(name);
    await running?.node.stop();
  }

  /** Ends the session of a node with the coordinator, as its death would: members hear that it is gone. */
  async vanish(name: string): Promise<void> {
    await this.node(name).coordinator.close();
  }

  async #add<S>(
    name: string,
    routing: 'leader' | 'any',
    makeDevice: MakeDevice<S>,
    settings: S,
    port = 0,
  ): Promise<RunningNode> {
    const log = silentLogger();
    const { zookeeper, sessionTimeoutMs = 2000 } = this.#options;
    const config = {
      kind: zookeeper === undefined ? ('embedded' as const) : ('zookeeper' as const),
      connect: zookeeper ?? this.#coordinator.address,
      sessionTimeoutMs,
    };
    const coordinator = createCoordinator({ config, ...NAMES, log });
    const type = name.split('-', 1)[0] ?? '';
    const node = new FractoryNode(
      {
        ...{
          root: process.cwd(),
          statePath: this.folder,
          secret: NAMES.secret,
          coordinator: config,
        },
        dataCenter: {
          ...{ name: NAMES.dataCenter, grpcIp: '127.0.0.1' },
          storagePath: path.join(this.folder, 'storage'),
        },
        security: this.#options.security ?? { mode: 'open' },
        limits: { ...limitsSection.parse({}), ...this.#options.limits },
        gossip: this.#options.gossip,
        telemetry: {},
        node: { name, type, routing, verbose: false, port },
        ...{ supervised: false, settings },
      },
      makeDevice,
      { coordinator, log, tracer: this.#options.tracerFor?.(name) ?? noTracer },
    );
    const running = { name, node, coordinator };
    this.#running.set(name, running);
    await node.start();
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all([...this.#running.keys()].map((name) => this.stop(name)));
    await this.#coordinator[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
