import type { CoordinatorConfig } from '../config/node-config.js';
import type { DataCenterConfig } from '../config/data-center-config.js';
import { silentLogger } from '../runtime/logger.js';
import { EmbeddedCoordinator } from '../zookeeper/embedded/server.js';
import type { Coordination } from './coordination.js';
import type { PrivateNetwork } from './network/private-network.js';

const LOOPBACK = '127.0.0.1';

/** The embedded twin: this process itself knows who is there. One machine, so it binds to loopback, or into the private network of the nodes, only. */
export class EmbeddedCoordination implements Coordination {
  readonly kind = 'embedded';
  readonly notice: string;
  readonly #config: DataCenterConfig;
  readonly #host: string;
  #server: EmbeddedCoordinator | undefined;

  constructor(config: DataCenterConfig, why: string, network?: PrivateNetwork) {
    this.#config = config;
    this.#host = network?.coordinatorAddress ?? LOOPBACK;
    this.notice = `the embedded coordinator is used instead of ZooKeeper: ${why}`;
  }

  async prepare(secret: string): Promise<CoordinatorConfig> {
    this.#server = new EmbeddedCoordinator({
      ...{ host: this.#host, dataCenter: this.#config.name, secret, log: silentLogger() },
    });
    await this.#server.start();
    const { sessionTimeoutMs } = this.#config.zookeeper;
    return { kind: this.kind, connect: this.#server.address, sessionTimeoutMs };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  onChange(): void {
    // It has no processes that come and go.
  }

  processes(): [] {
    return [];
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  kill(): void {
    // It ends with this process.
  }
}
