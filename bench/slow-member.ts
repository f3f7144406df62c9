import { setTimeout as delay } from 'node:timers/promises';

import { DataCenter } from '../applications/sdk/data-center.js';
import { graphOf } from '../applications/sdk/flow/graph.js';
import { math } from '../applications/sdk/steps.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';

const MEMBERS = ['math-1', 'math-2', 'math-3'] as const;
const SLOW = 'math-2';
/** A process that is stopped for the first of these and goes on for the second, ms, again and again. */
const STOPPED_MS = 60;
const RUNNING_MS = 10;
const RUNS = 200;
const LONGEST_MS = 30_000;

const graph = graphOf('slow-member', math.shiftLeft({ input: 7n, m: 9n }));

/** One of three members gets a seventh of the processor: how long until it is passed over, what runs take then, and how long until it is taken back. */
export async function measureSlowMember(rounds: number): Promise<Finding[]> {
  const all: { ratio: number; ejectedMs: number; slowP50Ms: number; backMs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    await using center = await SmallDataCenter.start(
      Object.fromEntries(MEMBERS.map((name) => [name, 'math'])),
    );
    all.push(await measureRound(center));
  }
  return [
    finding(
      'slow_member_p50_vs_before',
      ['p50 of runs with the slow member passed over', 'before it was slow'],
      all.map(({ ratio }) => ratio),
      {
        ejectedMs: median(all.map(({ ejectedMs }) => ejectedMs)),
        slowP50Ms: median(all.map(({ slowP50Ms }) => slowP50Ms)),
        takenBackMs: median(all.map(({ backMs }) => backMs)),
      },
      { most: 1.5 },
    ),
  ];
}

async function measureRound(center: SmallDataCenter) {
  const dataCenter = new DataCenter({
    ...{ application: 'bench', applicationNodes: [center.address] },
    credentials: { mode: 'open' },
  });
  const run = async (): Promise<number> => (await dataCenter.runGraph(graph)).elapsedMs;
  try {
    await timesOf(run);
    const before = median(await timesOf(run));
    const heal = slowDown(center);
    const slow: number[] = [];
    const ejectedMs = await timeUntil(center, 'ejected', async () => slow.push(await run()));
    const after = median(await timesOf(run));
    heal();
    const backMs = await timeUntil(center, 'trusted', run);
    return { ratio: after / before, ejectedMs, slowP50Ms: median(slow), backMs };
  } finally {
    dataCenter.close();
  }
}

async function timesOf(run: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < RUNS; count++) times.push(await run());
  return times;
}

async function timeUntil(
  center: SmallDataCenter,
  standing: string,
  run: () => Promise<unknown>,
): Promise<number> {
  const fromMs = performance.now();
  while (center.kernel.standingOf(center.member(SLOW)) !== standing) {
    await run();
    if (performance.now() - fromMs > LONGEST_MS)
      throw new Error(`${SLOW} was not ${standing} after ${String(LONGEST_MS)} ms`);
  }
  return performance.now() - fromMs;
}

/** Returns what ends it. */
function slowDown(center: SmallDataCenter): () => void {
  const { pid } = center.member(SLOW);
  const over = new AbortController();
  const stopAndGo = async (): Promise<void> => {
    while (!over.signal.aborted) {
      process.kill(pid, 'SIGSTOP');
      await delay(STOPPED_MS);
      process.kill(pid, 'SIGCONT');
      await delay(RUNNING_MS);
    }
  };
  void stopAndGo();
  return () => {
    over.abort();
  };
}
