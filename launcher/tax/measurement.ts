import type { PrivateNetwork } from '../network/private-network.js';
import { difference } from './counters.js';
import { payloadName, payloadOf } from './payload.js';
import { ARMS, rowFrom } from './rows.js';
import type { Arm, Block, Round, TaxRow } from './rows.js';
import type { TaxClient } from './tax-client.js';
import { outputName } from './workloads.js';
import type { Workload } from './workloads.js';

export interface MeasurementOptions {
  readonly workload: Workload;
  readonly sizes: readonly number[];
  /** Besides those that warm up. */
  readonly rounds: number;
  readonly signal: AbortSignal;
  /** Where the kernel counts too. */
  readonly network?: PrivateNetwork | undefined;
  readonly onProgress?: (text: string) => void;
}

/** Bytes that the runs of one block read together; small payloads run often, but blocks stay short, so that both arms see the same weather. */
const BLOCK_BYTES = 8 * 1024 ** 2;
const MIN_RUNS = 3;
const MAX_RUNS = 30;

/** Rounds before those that count: connections, compiled code, caches. */
const WARM_UP_ROUNDS = 3;

/** Runs of one arm between two looks at the counters. */
export function runsPerBlock(payloadBytes: number): number {
  return Math.max(MIN_RUNS, Math.min(MAX_RUNS, Math.floor(BLOCK_BYTES / payloadBytes)));
}

/** Which arm goes first: they take turns, from round to round and from size to size. */
export function orderOf(round: number, size: number): readonly Arm[] {
  return (round + size) % 2 === 0 ? ARMS : [...ARMS].reverse();
}

/** Measures one workload at all sizes: in each round every size, at each size one arm right after the other. */
export async function measure(client: TaxClient, options: MeasurementOptions): Promise<TaxRow[]> {
  const { workload, sizes, rounds, onProgress } = options;
  for (const size of sizes) await client.upload(payloadName(size), payloadOf(size));
  const found = sizes.map((): Round[] => []);
  for (let round = 1 - WARM_UP_ROUNDS; round <= rounds; round++) {
    const [what, number, of] =
      round > 0
        ? ['round', round, rounds]
        : ['warm-up round', round + WARM_UP_ROUNDS, WARM_UP_ROUNDS];
    onProgress?.(`${workload.graph}: ${what} ${String(number)} of ${String(of)}`);
    for (const [index, payloadBytes] of sizes.entries()) {
      const arms = await oneRound(client, options, { payloadBytes, order: orderOf(round, index) });
      if (round > 0) found[index]?.push(arms);
    }
    if (round === 0) await checkOutputs(client, options);
  }
  return sizes.map((size, index) => rowFrom(workload.graph, size, found[index] ?? []));
}

async function oneRound(
  client: TaxClient,
  options: MeasurementOptions,
  { payloadBytes, order }: { readonly payloadBytes: number; readonly order: readonly Arm[] },
): Promise<Round> {
  const blocks = new Map<Arm, Block>();
  for (const arm of order) blocks.set(arm, await block(client, options, { payloadBytes, arm }));
  return Object.fromEntries(blocks) as Round;
}

/** Runs of one arm, one after the other, between two looks at the counters. */
async function block(
  client: TaxClient,
  { workload, network, signal }: MeasurementOptions,
  { payloadBytes, arm }: { readonly payloadBytes: number; readonly arm: Arm },
): Promise<Block> {
  const graph = workload.graphFor(payloadBytes, arm);
  const before = await client.traffic();
  const kernelBefore = await network?.bytesBetweenNodes();
  const latenciesMs: number[] = [];
  for (let run = 0; run < runsPerBlock(payloadBytes); run++) {
    signal.throwIfAborted();
    const startedAt = performance.now();
    const { result, attempts } = await client.run(graph, arm);
    latenciesMs.push(performance.now() - startedAt);
    if (!result || !workload.accepts(result, payloadBytes))
      throw new Error(
        `${graph.name} as ${arm} of ${String(payloadBytes)} bytes had a wrong result`,
      );
    if (attempts > 1) throw new Error(`${graph.name} as ${arm} took ${String(attempts)} attempts`);
  }
  const after = await client.traffic();
  const kernelAfter = await network?.bytesBetweenNodes();
  const interfaceBytes =
    kernelBefore === undefined || kernelAfter === undefined
      ? undefined
      : kernelAfter - kernelBefore;
  return { latenciesMs, traffic: difference(before, after), interfaceBytes };
}

/** What the linear graph has written must be the complement of what it has read, byte by byte. */
async function checkOutputs(client: TaxClient, options: MeasurementOptions): Promise<void> {
  if (options.workload.graph !== 'linear') return;
  for (const size of options.sizes) {
    const expected = payloadOf(size).map((byte) => 255 - byte);
    if (!(await client.download(outputName(size))).equals(expected))
      throw new Error(`${outputName(size)} is not the complement of ${payloadName(size)}`);
  }
}
