import { connect } from 'node:net';

import { findProcess, processSizes } from '../../launcher/chaos/process-table.js';
import type { RunningDataCenter } from '../../launcher/running-data-center.js';
import { sleep } from '../../runtime/deadline.js';
import { systemCodeOf } from '../../runtime/errors.js';
import type { Coordinator } from '../../zookeeper/coordinator.js';

/** What was read at one moment. */
export interface Sample {
  /** ms since the soak began. */
  readonly atMs: number;
  readonly processes: readonly ProcessSample[];
  /** As one of ZooKeeper's servers counts them; absent while none answers. */
  readonly znodes?: number;
}

export interface ProcessSample {
  readonly name: string;
  readonly pid: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Of the event loop; only of nodes that answer. */
  readonly handles?: number;
}

const TIMEOUT_MS = 2000;
/** By then garbage is collected. */
const COLLECTED_MS = 500;

/** Reads memory, descriptors, handles and znodes of everybody. Who can collects its garbage first: what is read is what is held. */
export async function takeSample(
  atMs: number,
  running: RunningDataCenter,
  coordinator: Coordinator,
): Promise<Sample> {
  const { record, config } = running;
  const { statePath } = config.places;
  const metrics = new Map(coordinator.members().map((one) => [one.id, one.metricsAddress]));
  const names = [...(record?.processes ?? []).map(({ name }) => name)];
  const identities = await Promise.all(
    names.map(async (name) => ({ name, identity: await findProcess(statePath, name) })),
  );
  for (const { identity } of identities) if (identity) collect(identity.pid);
  if (record) collect(record.launcher.pid);
  await sleep(COLLECTED_MS);
  const found = await Promise.all(
    identities.map(async ({ name, identity }) =>
      identity ? await sampleOf(name, identity.pid, metrics.get(name)) : [],
    ),
  );
  const launcher = record ? await sampleOf('launcher', record.launcher.pid) : [];
  const znodes = await znodesOf(running.coordinator.connect.split(','));
  const processes = [...launcher, ...found.flat()];
  return { atMs, processes, ...(znodes !== undefined && { znodes }) };
}

/** Those that are not ours, such as ZooKeeper's servers, take no notice of this signal. */
function collect(pid: number): void {
  try {
    process.kill(pid, 'SIGWINCH');
  } catch (error) {
    // It has ended since.
    if (systemCodeOf(error) !== 'ESRCH') throw error;
  }
}

async function sampleOf(
  name: string,
  pid: number,
  metricsAddress?: string,
): Promise<ProcessSample[]> {
  const sizes = await processSizes(pid);
  if (!sizes) return [];
  const handles = metricsAddress === undefined ? undefined : await handlesOf(metricsAddress);
  return [{ name, pid, ...sizes, ...(handles !== undefined && { handles }) }];
}

/** A node that is dead or frozen has no answer. */
async function handlesOf(address: string): Promise<number | undefined> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const text = await (await fetch(`http://${address}/metrics`, { signal })).text();
    const value = /^fractory_nodejs_active_resources_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1];
    return value === undefined ? undefined : Number(value);
  } catch {
    return undefined;
  }
}

async function znodesOf(servers: readonly string[]): Promise<number | undefined> {
  for (const server of servers) {
    const count = /^zk_znode_count\s+(\d+)$/m.exec(await ask(server, 'mntr'))?.[1];
    if (count !== undefined) return Number(count);
  }
  return undefined;
}

/** One of ZooKeeper's four-letter words; '' without an answer. */
function ask(server: string, word: string): Promise<string> {
  const colon = server.lastIndexOf(':');
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: server.slice(0, colon), port: Number(server.slice(colon + 1)) });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
    socket.on('connect', () => socket.write(word));
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      resolve(answer);
    });
  });
}
