import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { Graph } from '../protos/gen/fractory/v1/graph.js';

/** What a process that runs graphs is told. */
export interface LoadOrder {
  readonly address: string;
  /** Encoded, base64; taken in turn. */
  readonly graphs: readonly string[];
  readonly durationMs: number;
  /** So many callers that wait for the end of each run; 0 = arrivals that wait for nothing. */
  readonly callers: number;
  readonly perSecond: number;
  readonly seed: number;
}

/** What it tells. Times are ms. */
export interface LoadReport {
  sent: number;
  refused: number;
  /** Other failures, by reason. */
  failed: Record<string, number>;
  /** Of each run that succeeded: when it ended, and how long it took from the moment it was sent. */
  doneMs: [number, number][];
  /** How long it took to be refused. */
  refusedMs: number[];
}

/** Load from a process of its own, so that whoever is measured has its event loop for itself. */
export async function load(
  address: string,
  graphs: readonly Graph[],
  options: Partial<Pick<LoadOrder, 'callers' | 'perSecond' | 'seed'>> & {
    readonly durationMs: number;
  },
): Promise<LoadReport> {
  const order: LoadOrder = {
    ...{ address, callers: 0, perSecond: 0, seed: 1 },
    graphs: graphs.map((graph) => Buffer.from(Graph.encode(graph).finish()).toString('base64')),
    ...options,
  };
  const script = fileURLToPath(new URL('./run-load-process.js', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(JSON.stringify(order));
  await once(child, 'close');
  return JSON.parse(Buffer.concat(chunks).toString()) as LoadReport;
}
