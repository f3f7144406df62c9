import { externalCoordinator, parseCoordinator } from '../config/coordinator-choice.js';
import type { DataCenterConfig } from '../config/data-center-config.js';
import { readSecret } from '../config/node.js';
import type { CoordinatorConfig } from '../config/node-config.js';
import { unavailable } from '../runtime/errors.js';
import { silentLogger } from '../runtime/logger.js';
import { createCoordinator } from '../zookeeper/create.js';
import type { Coordinator } from '../zookeeper/coordinator.js';
import type { CommandContext } from './command-context.js';
import { RunFile } from './run-file.js';
import type { RunRecord } from './run-file.js';

/** A data center that somebody started: here, or elsewhere with an external coordinator. */
export interface RunningDataCenter {
  readonly config: DataCenterConfig;
  readonly coordinator: CoordinatorConfig;
  /** What its launcher wrote, if it runs in this folder. */
  readonly record: RunRecord | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Finds the data center that commands talk to; UNAVAILABLE says how to start one. */
export async function findRunning(context: CommandContext): Promise<RunningDataCenter> {
  const { statePath } = context.places;
  const found = await new RunFile(statePath).read();
  if (found.state === 'running' && found.record.phase === 'stopping')
    throw unavailable(
      'STOPPING',
      `the data center in ${statePath} is being stopped (pid ${String(found.record.launcher.pid)}); ./datacenter down returns when it is`,
    );
  if (found.state === 'running' && found.record.coordinator !== '') {
    const { record } = found;
    const config = await context.config(record.configFile);
    const { sessionTimeoutMs } = config.zookeeper;
    return { config, coordinator: parseCoordinator(record.coordinator, sessionTimeoutMs), record };
  }
  const config = await context.config();
  const coordinator = externalCoordinator(config);
  if (coordinator) return { config, coordinator, record: undefined };
  throw unavailable(
    'NOT_RUNNING',
    `no data center is running in ${statePath}; ./datacenter up starts one`,
  );
}

/** Looks at a data center through its coordinator. */
export async function withCoordinator<T>(
  running: RunningDataCenter,
  look: (coordinator: Coordinator) => Promise<T> | T,
): Promise<T> {
  const { config } = running;
  const coordinator = createCoordinator({
    config: running.coordinator,
    dataCenter: config.name,
    secret: await readSecret(config.places.statePath),
    log: silentLogger(),
  });
  try {
    await coordinator.start(CONNECT_TIMEOUT_MS);
    return await look(coordinator);
  } finally {
    await coordinator.close();
  }
}
