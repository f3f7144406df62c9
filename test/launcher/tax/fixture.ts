import { rowFrom } from '../../../launcher/tax/rows.js';
import type { Block, GraphName, Round, TaxRow } from '../../../launcher/tax/rows.js';

/** Runs of `ms` each, with so many bytes in two messages per run. */
export function block(ms: readonly number[], bytesPerRun: number): Block {
  const runs = ms.length;
  const flow = { bytes: bytesPerRun * runs, messages: 2 * runs };
  return { latenciesMs: ms, traffic: new Map([['storage-1 -> cnn-1', flow]]) };
}

/** A row of three rounds in which the star takes `ratio` times the ring's time, give or take a tenth. */
export function row(graph: GraphName, payloadBytes: number, ratio: number): TaxRow {
  const rounds = [0.9, 1, 1.1].map((share): Round => ({
    star: block([2 * ratio * share], payloadBytes * 2 + 400),
    ring: block([2], payloadBytes + 400),
  }));
  return rowFrom(graph, payloadBytes, rounds);
}
