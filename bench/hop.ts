import { randomBytes, randomUUID } from 'node:crypto';

import { ringAttempt } from '../controllers/application/ring.js';
import { plan } from '../controllers/application/plan.js';
import type { KernelAccess } from '../controllers/kernel/device.js';
import { repeat, sequence } from '../applications/sdk/flow/flow.js';
import { graphOf } from '../applications/sdk/flow/graph.js';
import { math } from '../applications/sdk/steps.js';
import { Receipt } from '../protos/gen/fractory/v1/graph.js';
import type { Graph } from '../protos/gen/fractory/v1/graph.js';
import { Echo } from './echo.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median, quantile } from './statistics.js';
import type { Finding } from './statistics.js';

const STEPS = 15;
/** About what one hop of such a chain carries: half of the steps still to do, and the receipts of those done. */
const PAYLOAD_BYTES = 1700;
/** Hops, and unary calls, of one round, one after the other. */
const SEQUENTIAL = 12_000;
const PARALLEL_CHAINS = 1200;
const IN_FLIGHT = 64;

const chain: Graph = graphOf(
  'bench',
  sequence(math.shiftLeft({ input: 7n, m: 1n }), repeat(STEPS - 1, math.shiftLeft({ m: 1n }))),
);

/** Runs one chain and returns its receipts. */
async function runChain(kernel: KernelAccess): Promise<readonly Receipt[]> {
  const signal = new AbortController().signal;
  const deadlineMs = Date.now() + 30_000;
  const run = randomUUID();
  const planned = await plan(kernel, { run, graph: chain, deadlineMs }, signal);
  const options = { run, attempt: 1, deadlineMs, traceparent: '', signal };
  const outcome = await ringAttempt(kernel, planned, options);
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message);
  return outcome.receipts.map((encoded) => Receipt.decode(encoded));
}

/** Runs `work` `total` times, `IN_FLIGHT` at a time; returns how many a second. */
async function ratePerSecond(total: number, work: () => Promise<unknown>): Promise<number> {
  let left = total;
  const startedAt = performance.now();
  const worker = async (): Promise<void> => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return total / ((performance.now() - startedAt) / 1000);
}

/** Microseconds from the arrival of each step to the arrival of the next: check, work, receipt and way. */
async function hopSamples(kernel: KernelAccess): Promise<number[]> {
  const samples: number[] = [];
  for (let run = 0; run < SEQUENTIAL / STEPS; run++) {
    const receipts = await runChain(kernel);
    for (const [index, receipt] of receipts.slice(1).entries())
      samples.push(Number(receipt.arrivedAtUs - (receipts[index]?.arrivedAtUs ?? 0n)));
  }
  return samples;
}

async function unarySamples(echo: Echo, payload: Buffer): Promise<number[]> {
  const samples: number[] = [];
  for (let call = 0; call < SEQUENTIAL; call++) {
    const startedAt = performance.now();
    await echo.call(payload);
    samples.push((performance.now() - startedAt) * 1000);
  }
  return samples;
}

/** A hop of a running chain against a bare unary call of the same bytes, one after the other and in parallel. */
export async function measureHops(rounds: number): Promise<Finding[]> {
  await using echo = await Echo.start();
  await using dataCenter = await SmallDataCenter.start({ 'math-1': 'math', 'math-2': 'math' });
  const payload = randomBytes(PAYLOAD_BYTES);
  const { kernel } = dataCenter;
  const unary = (): Promise<unknown> => echo.call(payload);
  const chains = (): Promise<unknown> => runChain(kernel);
  const hops = { hop: [] as number[], hopP99: [] as number[] };
  const calls = { unary: [] as number[], unaryP99: [] as number[] };
  // The first round warms both arms up.
  for (let round = 0; round <= rounds; round++) {
    const hop = await hopSamples(kernel);
    const call = await unarySamples(echo, payload);
    if (round === 0) continue;
    hops.hop.push(median(hop));
    hops.hopP99.push(quantile(hop, 0.99));
    calls.unary.push(median(call));
    calls.unaryP99.push(quantile(call, 0.99));
  }
  const rates = { hop: [] as number[], unary: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const hop = (await ratePerSecond(PARALLEL_CHAINS, chains)) * STEPS;
    const call = await ratePerSecond(PARALLEL_CHAINS * 4, unary);
    if (round === 0) continue;
    rates.hop.push(hop);
    rates.unary.push(call);
  }
  const ratios = (top: number[], bottom: number[]): number[] =>
    top.map((value, index) => value / (bottom[index] ?? Number.NaN));
  return [
    finding(
      'hop_vs_unary',
      ['p50 of a hop', 'p50 of a bare unary call'],
      ratios(hops.hop, calls.unary),
      {
        hopP50Us: median(hops.hop),
        hopP99Us: median(hops.hopP99),
        unaryP50Us: median(calls.unary),
        unaryP99Us: median(calls.unaryP99),
      },
      { most: 0.45 },
    ),
    finding(
      'parallel_hops_vs_unary',
      ['hops a second', 'bare unary calls a second'],
      ratios(rates.hop, rates.unary),
      { hopsPerSecond: median(rates.hop), unaryPerSecond: median(rates.unary) },
      { least: 3 },
    ),
  ];
}
