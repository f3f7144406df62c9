import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';

import { measure } from './measurement.js';
import { formatRate } from '../network/link-shape.js';
import type { LinkShape } from '../network/link-shape.js';
import { PrivateNetwork } from '../network/private-network.js';
import { measureLink } from '../network/rate-probe.js';
import type { GraphName, TaxRow } from './rows.js';
import { makeStateFolder } from './state-folder.js';
import { TaxClient } from './tax-client.js';
import { TaxDataCenter } from './tax-data-center.js';
import { WORKLOADS } from './workloads.js';
import type { Workload } from './workloads.js';

export interface TaxOptions {
  readonly graphs: readonly GraphName[];
  readonly sizes: readonly number[];
  readonly rounds: number;
  /** Links of their own for the nodes; only in a process of `runPrivately`. Default: loopback. */
  readonly shape?: LinkShape | undefined;
  readonly signal: AbortSignal;
  readonly onNote?: (text: string) => void;
  readonly onProgress?: (text: string) => void;
  /** Each row as soon as its graph was measured. */
  readonly onRow?: (row: TaxRow) => void;
}

/** What was measured, and under which conditions, in one line. */
export interface TaxReport {
  readonly rows: readonly TaxRow[];
  readonly conditions: string;
}

/** Measures each graph in a data center of its own, as star and as ring. Whatever happens, nothing of it stays. */
export async function runTax(options: TaxOptions): Promise<TaxReport> {
  const { graphs, onNote, onRow, rounds } = options;
  await using folder = await makeStateFolder();
  const kept = folder.inMemory ? 'in memory (/dev/shm)' : `on disk (${path.dirname(folder.path)})`;
  onNote?.(
    folder.inMemory
      ? `files are ${kept}, so that fsync doesn't hide the network`
      : `files are ${kept}: there is no /dev/shm, so fsync takes its part of each write`,
  );
  const rows: TaxRow[] = [];
  let links = 'loopback';
  for (const graph of graphs) {
    const workload = WORKLOADS[graph];
    await using network = await networkFor(workload, options);
    if (network?.withoutLatency !== undefined && rows.length === 0)
      onNote?.(
        `links keep their own latency, this kernel can't delay packets (netem): ${network.withoutLatency}`,
      );
    if (network) links = await describeLinks(network, workload, options);
    const statePath = path.join(folder.path, graph);
    await mkdir(statePath);
    await using dataCenter = await TaxDataCenter.start({
      ...{ workload, network, folder: statePath, signal: options.signal },
    });
    using client = new TaxClient(dataCenter);
    for (const row of await measure(client, { ...options, workload, network })) {
      rows.push(row);
      onRow?.(row);
    }
  }
  const cores = availableParallelism();
  const conditions = `links: ${links}; files ${kept}; ${String(cores)} cores; ${String(rounds)} rounds, bars are their range`;
  return { rows, conditions };
}

async function networkFor(
  workload: Workload,
  { shape }: TaxOptions,
): Promise<PrivateNetwork | undefined> {
  return shape && PrivateNetwork.make(Object.keys(workload.members), shape);
}

/** Says what the links really have: a raw TCP connection is asked. */
async function describeLinks(
  network: PrivateNetwork,
  workload: Workload,
  { shape = {}, onNote }: TaxOptions,
): Promise<string> {
  const [, from = '', to = ''] = Object.keys(workload.members);
  const { bitsPerSecond, roundTripUs } = await measureLink(
    network,
    [from, to],
    shape.bitsPerSecond,
  );
  const asked = [
    ...(shape.bitsPerSecond === undefined ? [] : [formatRate(shape.bitsPerSecond)]),
    ...(shape.latencyUs === undefined ? [] : [describeLatency(shape.latencyUs, network)]),
  ];
  const measured = `raw TCP between ${from} and ${to} has ${formatRate(bitsPerSecond)} and a round trip of ${String(roundTripUs)} us`;
  onNote?.(`${workload.graph}: links ${asked.join(', ')}; ${measured}`);
  return [
    ...asked,
    `measured ${formatRate(bitsPerSecond)}, ${String(roundTripUs)} us round trip`,
  ].join(', ');
}

function describeLatency(latencyUs: number, { withoutLatency }: PrivateNetwork): string {
  const asked = `${String(latencyUs)} us each way`;
  return withoutLatency === undefined ? asked : `${asked} NOT applied (no netem)`;
}
