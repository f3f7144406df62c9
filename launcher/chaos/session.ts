import { sleep } from '../../runtime/deadline.js';
import type { Coordinator } from '../../zookeeper/coordinator.js';
import { askMode } from '../../zookeeper/ensemble/server-mode.js';
import type { CommandContext } from '../command-context.js';
import { HealthProbe } from '../health-probe.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import type { RunningDataCenter } from '../running-data-center.js';
import { GrpcChaosCalls } from './chaos-calls.js';
import { linkFaultsOf } from './link-faults.js';
import type { LinkFaults } from './link-faults.js';
import { ProcessFaults } from './process-faults.js';
import { targetsOf } from './targets.js';
import type { Population, Target } from './targets.js';

const ASK_TIMEOUT_MS = 500;
const LOOK_MS = 50;

/** A running data center in the hands of whoever breaks it. */
export interface ChaosSession {
  readonly running: RunningDataCenter;
  readonly statePath: string;
  readonly coordinator: Coordinator;
  readonly probe: HealthProbe;
  readonly calls: GrpcChaosCalls;
  readonly processes: ProcessFaults;
  /** FAILED_PRECONDITION where the nodes have no links of their own. */
  readonly links: () => Promise<LinkFaults>;
}

/** Valid until `use` is over. */
export async function withChaos<T>(
  context: CommandContext,
  use: (session: ChaosSession) => Promise<T>,
): Promise<T> {
  const running = await findRunning(context);
  const { statePath } = context.places;
  const { security } = running.config;
  return withCoordinator(running, async (coordinator) => {
    const probe = new HealthProbe(security);
    using calls = new GrpcChaosCalls(security);
    let links: Promise<LinkFaults> | undefined;
    try {
      return await use({
        ...{ running, statePath, coordinator, probe, calls },
        processes: new ProcessFaults(statePath),
        links: () => (links ??= linkFaultsOf(running)),
      });
    } finally {
      probe.close();
    }
  });
}

/** Finds what the words of a command name. */
export function resolveTargets(session: ChaosSession, words: readonly string[]): Promise<Target[]> {
  return targetsOf(words, populationOf(session));
}

export function populationOf(session: ChaosSession): Population {
  const { running, coordinator } = session;
  const nodes = (running.record?.processes ?? []).filter(({ kind }) => kind === 'node');
  const servers = serverNames(session).map((name) => ({ name, kind: 'zookeeper' as const }));
  return {
    members: coordinator.members(),
    processes: [...servers, ...nodes],
    zookeeperLeader: () => zookeeperLeader(running),
  };
}

/** Names of ZooKeeper's servers, also of those that are down; none where the embedded twin serves, or an ensemble that runs elsewhere. */
export function serverNames({ running }: ChaosSession): string[] {
  const isOurs = running.record?.processes.some(({ kind }) => kind === 'zookeeper') ?? false;
  return isOurs ? serverAddresses(running).map((_, index) => nameOf(index)) : [];
}

/** Whether the server of this name serves, in the quorum. */
export async function serverServes({ running }: ChaosSession, name: string): Promise<boolean> {
  const address = serverAddresses(running).find((_, index) => nameOf(index) === name);
  return address !== undefined && (await askMode(...address, ASK_TIMEOUT_MS)) !== 'none';
}

/** Resolves true when all nodes of the ini file are registered and serve, and all of ZooKeeper's servers answer. */
export async function allWell(
  session: ChaosSession,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    if (await isWell(session)) return true;
    if (performance.now() > untilMs || signal.aborted) return false;
    await sleep(LOOK_MS, signal);
  }
}

async function isWell({ running, coordinator, probe }: ChaosSession): Promise<boolean> {
  const members = coordinator.members();
  const planned = running.config.controllers
    .filter(({ listed }) => listed)
    .flatMap(({ nodes }) => nodes.map(({ name }) => name));
  if (!planned.every((name) => members.some(({ id }) => id === name))) return false;
  const [states, modes] = await Promise.all([
    Promise.all(members.map(({ address }) => probe.check(address, ASK_TIMEOUT_MS))),
    Promise.all(
      serverAddresses(running).map(([host, port]) => askMode(host, port, ASK_TIMEOUT_MS)),
    ),
  ]);
  return states.every((state) => state === 'SERVING') && modes.every((mode) => mode !== 'none');
}

async function zookeeperLeader(running: RunningDataCenter): Promise<string | undefined> {
  const modes = await Promise.all(
    serverAddresses(running).map(([host, port]) => askMode(host, port, ASK_TIMEOUT_MS)),
  );
  const index = modes.findIndex((mode) => mode === 'leader' || mode === 'standalone');
  return index < 0 ? undefined : nameOf(index);
}

function nameOf(index: number): string {
  return `zookeeper-${String(index + 1)}`;
}

/** In the order of their numbers, as the launcher wrote them. */
function serverAddresses({ coordinator }: RunningDataCenter): (readonly [string, number])[] {
  if (coordinator.kind !== 'zookeeper') return [];
  return coordinator.connect.split(',').map((address) => {
    const colon = address.lastIndexOf(':');
    return [address.slice(0, colon), Number(address.slice(colon + 1))];
  });
}
