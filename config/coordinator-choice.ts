import { invalidArgument } from '../runtime/errors.js';
import type { DataCenterConfig } from './data-center-config.js';
import type { CoordinatorConfig } from './node-config.js';

/** Where a coordinator is that runs already and isn't started by `up`: FRACTORY_COORDINATOR, else `[ZooKeeper] connect`. */
export function externalCoordinator(
  config: DataCenterConfig,
  environment: NodeJS.ProcessEnv = process.env,
): CoordinatorConfig | undefined {
  const { connect, enabled, sessionTimeoutMs } = config.zookeeper;
  const given = environment['FRACTORY_COORDINATOR'];
  if (given !== undefined) return parseCoordinator(given, sessionTimeoutMs);
  if (!enabled || connect === undefined) return undefined;
  return { kind: 'zookeeper', connect, sessionTimeoutMs };
}

/** Reads `zookeeper://host:port,host:port` and `embedded://host:port`. */
export function parseCoordinator(given: string, sessionTimeoutMs: number): CoordinatorConfig {
  const match = /^(zookeeper|embedded):\/\/([^/\s]+:\d+)$/.exec(given);
  const kind = match?.[1];
  const connect = match?.[2];
  if (connect === undefined || (kind !== 'zookeeper' && kind !== 'embedded'))
    throw invalidArgument(
      'FRACTORY_COORDINATOR',
      `${JSON.stringify(given)} is not of the form zookeeper://host:port,host:port or embedded://host:port`,
    );
  return { kind, connect, sessionTimeoutMs };
}

/** The inverse of `parseCoordinator`. */
export function coordinatorUrl(coordinator: Pick<CoordinatorConfig, 'kind' | 'connect'>): string {
  return `${coordinator.kind}://${coordinator.connect}`;
}
