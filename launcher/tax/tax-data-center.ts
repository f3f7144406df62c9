import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { coordinatorUrl } from '../../config/coordinator-choice.js';
import type { CoordinatorConfig, SecurityConfig } from '../../config/node-config.js';
import { bareEnvironment, nodeEnvironment } from '../../config/node-environment.js';
import { builtFile, projectRoot } from '../../config/paths.js';
import { withDeadline } from '../../runtime/deadline.js';
import { silentLogger } from '../../runtime/logger.js';
import { Stopper } from '../../runtime/stopper.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import { createCoordinator } from '../../zookeeper/create.js';
import { EmbeddedCoordinator } from '../../zookeeper/embedded/server.js';
import { describeExit, NodeChild } from '../child-process.js';
import type { NodeCommand } from '../child-process.js';
import { StartFailure } from '../data-center-run.js';
import { HealthProbe } from '../health-probe.js';
import { LogFiles } from '../log-files.js';
import { allServing } from '../serving-watch.js';
import type { PrivateNetwork } from '../network/private-network.js';
import { DATA_CENTER, taxIni } from './tax-ini.js';
import type { Workload } from './workloads.js';

const LOOPBACK = '127.0.0.1';
const SESSION_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
const STOP_GRACE_MS = 10_000;

export interface TaxDataCenterOptions {
  readonly workload: Workload;
  /** Exists; owned by the caller. */
  readonly folder: string;
  /** Default: every node on loopback. */
  readonly network?: PrivateNetwork | undefined;
  readonly signal: AbortSignal;
}

/**
 * The data center of one workload: the embedded coordinator in this process, each node in its own. Without a network all are on loopback and open; with
 * one each node has a namespace, and callers show a token.
 */
export class TaxDataCenter implements AsyncDisposable {
  readonly security: SecurityConfig;
  readonly #coordinator: Coordinator;
  readonly #stopper: Stopper;

  /** For `start`. */
  constructor(security: SecurityConfig, coordinator: Coordinator, stopper: Stopper) {
    this.security = security;
    this.#coordinator = coordinator;
    this.#stopper = stopper;
  }

  /** Resolves when every node serves; a StartFailure has the end of the log of one that died. */
  static async start(options: TaxDataCenterOptions): Promise<TaxDataCenter> {
    const stopper = new Stopper();
    try {
      return await withDeadline(
        START_TIMEOUT_MS,
        'the start of the data center',
        (signal) => startParts(options, stopper, signal),
        options.signal,
      );
    } catch (error) {
      await stopper.stop();
      throw error;
    }
  }

  members(): readonly Member[] {
    return this.#coordinator.members();
  }

  /** The member of a type that leads. */
  leader(type: string): Member {
    const leader = leaderOf(this.members(), type);
    if (!leader) throw new Error(`no ${type} node is registered`);
    return leader;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopper.stop();
  }
}

async function startParts(
  options: TaxDataCenterOptions,
  stopper: Stopper,
  signal: AbortSignal,
): Promise<TaxDataCenter> {
  const { folder, network, workload } = options;
  const secret = randomBytes(32).toString('hex');
  const { security, configFile } = await writeConfig(options);
  const server = new EmbeddedCoordinator({
    ...{ host: network?.driverAddress ?? LOOPBACK, dataCenter: DATA_CENTER, secret },
    log: silentLogger(),
  });
  stopper.add(() => server.stop());
  await server.start();
  const where: CoordinatorConfig = {
    ...{ kind: 'embedded', connect: server.address, sessionTimeoutMs: SESSION_TIMEOUT_MS },
  };
  const coordinator = createCoordinator({
    ...{ config: where, dataCenter: DATA_CENTER, secret, log: silentLogger() },
  });
  stopper.add(() => coordinator.close());
  const logs = new LogFiles(folder);
  const environment = {
    ...nodeEnvironment(
      { statePath: folder, coordinator: coordinatorUrl(where) },
      bareEnvironment(),
    ),
    FRACTORY_SECRET: secret,
  };
  const children: NodeChild[] = [];
  stopper.add(async () => {
    await Promise.all(children.map((child) => child.stop(STOP_GRACE_MS)));
  });
  for (const [name, type] of Object.entries(workload.members)) {
    signal.throwIfAborted();
    const logFile = await logs.prepare(name);
    const command = { name, type, configFile, logFile, environment };
    children.push(new NodeChild(commandOf(command, network)));
  }
  await coordinator.start(CONNECT_TIMEOUT_MS);
  const probe = new HealthProbe(security);
  stopper.add(() => {
    probe.close();
  });
  const expected = children.map(({ command: { name }, pid }) => ({ name, pid }));
  const serving = allServing({ coordinator, probe, expected, signal, onServing: () => undefined });
  serving.catch(() => undefined);
  await Promise.race([serving, firstDeath(children, logs)]);
  return new TaxDataCenter(security, coordinator, stopper);
}

async function writeConfig({ workload, folder, network }: TaxDataCenterOptions): Promise<{
  readonly security: SecurityConfig;
  readonly configFile: string;
}> {
  const storagePath = path.join(folder, 'storage');
  await mkdir(storagePath, { recursive: true });
  const configFile = path.join(folder, 'data_center.ini');
  const tokenFile = network && path.join(folder, 'token');
  await writeFile(configFile, taxIni(workload, { storagePath, tokenFile }));
  if (tokenFile === undefined) return { security: { mode: 'open' }, configFile };
  const token = randomBytes(24).toString('base64url');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
  return { security: { mode: 'token', token }, configFile };
}

interface NodeFacts extends Pick<NodeCommand, 'name' | 'type' | 'logFile' | 'environment'> {
  readonly configFile: string;
}

function commandOf(facts: NodeFacts, network: PrivateNetwork | undefined): NodeCommand {
  const { name, type, configFile, logFile, environment } = facts;
  return {
    ...{ name, type, logFile },
    main: builtFile(projectRoot, `controllers/${type}/main.ts`),
    args: ['--config', configFile, '--name', name, '--type', type],
    environment: {
      ...environment,
      FRACTORY_DATACENTER_GRPC_IP: network?.addressOf(name) ?? LOOPBACK,
    },
    ...(network && { within: network.within(name) }),
  };
}

/** Never resolves: rejects when a node ends that nobody asked to. */
async function firstDeath(children: readonly NodeChild[], logs: LogFiles): Promise<never> {
  const ends = children.map(async ({ command, exited }) => ({ command, exit: await exited }));
  const { command, exit } = await Promise.race(ends);
  throw new StartFailure(
    command.name,
    describeExit(exit),
    await logs.lastLines(command.name, 12, { earlier: true }),
  );
}
