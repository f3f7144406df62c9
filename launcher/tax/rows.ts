import { totalOf } from './counters.js';
import type { LinkTraffic } from './counters.js';
import { median, quantile, rangeOf } from './statistics.js';
import type { Range } from './statistics.js';

/** The two ways to run a graph. */
export const ARMS = ['star', 'ring'] as const;
export type Arm = (typeof ARMS)[number];

/** `linear`: storage -> math -> storage. `layered`: block -> storage -> CNN. */
export const GRAPHS = ['linear', 'layered'] as const;
export type GraphName = (typeof GRAPHS)[number];

/** Some runs of one arm, one after the other, and what they put on the wire. */
export interface Block {
  /** End to end, as the client sees it; one for each run. */
  readonly latenciesMs: readonly number[];
  readonly traffic: LinkTraffic;
  /** What the kernel counted on the nodes' interfaces, where they have some of their own; bytes. */
  readonly interfaceBytes?: number | undefined;
}

/** The same graph and payload in both arms, next to each other in time. */
export type Round = Readonly<Record<Arm, Block>>;

/** Per run: medians over the rounds. */
export interface ArmFigures {
  readonly wireBytes: number;
  readonly messages: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Bytes and messages by `FROM -> TO`. */
  readonly links: Readonly<Record<string, { readonly bytes: number; readonly messages: number }>>;
  /** With headers of Ethernet, IP and TCP, and acknowledgements. */
  readonly interfaceBytes?: number;
}

/** One graph at one size: what `--json` prints. Ratios are star / ring: above 1 the ring costs less. */
export interface TaxRow {
  readonly graph: GraphName;
  readonly payloadBytes: number;
  readonly star: ArmFigures;
  readonly ring: ArmFigures;
  readonly bytesRatio: number;
  readonly latencyRatio: number;
  /** Over the rounds. */
  readonly bytesRange: Range;
  readonly latencyRange: Range;
  readonly rounds: number;
  /** In how many of them the ring's median was below the star's. */
  readonly ringFasterRounds: number;
}

/** Folds the rounds of one graph and size into a row. */
export function rowFrom(graph: GraphName, payloadBytes: number, rounds: readonly Round[]): TaxRow {
  const ratios = (of: (block: Block) => number): number[] =>
    rounds.map(({ star, ring }) => of(star) / of(ring));
  const bytes = ratios(wireBytes);
  const latency = ratios(({ latenciesMs }) => median(latenciesMs));
  return {
    ...{ graph, payloadBytes },
    star: figuresOf(rounds.map(({ star }) => star)),
    ring: figuresOf(rounds.map(({ ring }) => ring)),
    bytesRatio: rounded(median(bytes), 3),
    latencyRatio: rounded(median(latency), 3),
    bytesRange: roundedRange(bytes),
    latencyRange: roundedRange(latency),
    rounds: rounds.length,
    ringFasterRounds: latency.filter((ratio) => ratio > 1).length,
  };
}

/** Share of the rounds that leaves no doubt who is faster. */
const CLEAR_SHARE = 0.8;

/** Who was faster, where enough rounds say so. */
export function fasterArm({ rounds, ringFasterRounds }: TaxRow): Arm | 'even' {
  if (ringFasterRounds >= CLEAR_SHARE * rounds) return 'ring';
  return rounds - ringFasterRounds >= CLEAR_SHARE * rounds ? 'star' : 'even';
}

function wireBytes({ traffic, latenciesMs }: Block): number {
  return totalOf(traffic).bytes / latenciesMs.length;
}

function figuresOf(blocks: readonly Block[]): ArmFigures {
  const all = blocks.flatMap(({ latenciesMs }) => latenciesMs);
  const perRun = (of: (block: Block) => number): number =>
    median(blocks.map((block) => of(block) / block.latenciesMs.length));
  const interfaces = blocks.some(({ interfaceBytes }) => interfaceBytes !== undefined);
  return {
    wireBytes: Math.round(median(blocks.map(wireBytes))),
    messages: rounded(
      perRun(({ traffic }) => totalOf(traffic).messages),
      1,
    ),
    p50Ms: rounded(median(blocks.map(({ latenciesMs }) => median(latenciesMs))), 3),
    p99Ms: rounded(quantile(all, 0.99), 3),
    links: linksOf(blocks, perRun),
    ...(interfaces && {
      interfaceBytes: Math.round(perRun(({ interfaceBytes }) => interfaceBytes ?? Number.NaN)),
    }),
  };
}

function linksOf(
  blocks: readonly Block[],
  perRun: (of: (block: Block) => number) => number,
): ArmFigures['links'] {
  const names = [...new Set(blocks.flatMap(({ traffic }) => [...traffic.keys()]))].sort();
  const flows = names.map((link) => [
    link,
    {
      bytes: Math.round(perRun(({ traffic }) => traffic.get(link)?.bytes ?? 0)),
      messages: rounded(
        perRun(({ traffic }) => traffic.get(link)?.messages ?? 0),
        1,
      ),
    },
  ]);
  return Object.fromEntries(flows) as ArmFigures['links'];
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function roundedRange(values: readonly number[]): Range {
  const [low, high] = rangeOf(values);
  return [rounded(low, 3), rounded(high, 3)];
}
