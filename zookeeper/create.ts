import type { CoordinatorConfig } from '../config/node-config.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { Coordinator } from './coordinator.js';
import { EmbeddedClient } from './embedded/embedded-client.js';
import { ZooKeeperCoordinator } from './zookeeper-coordinator.js';

export interface CreateCoordinatorOptions {
  readonly config: CoordinatorConfig;
  /** Name of the data center. */
  readonly dataCenter: string;
  /** Shared by the nodes of the data center. */
  readonly secret: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** The coordinator that the configuration names, not started. Owned by the caller, who closes it. */
export function createCoordinator(options: CreateCoordinatorOptions): Coordinator {
  const { config, ...rest } = options;
  const { connect, sessionTimeoutMs } = config;
  const common = { ...rest, connect, sessionTimeoutMs };
  return config.kind === 'zookeeper'
    ? new ZooKeeperCoordinator(common)
    : new EmbeddedClient(common);
}
