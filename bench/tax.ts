import { GRAPHS } from '../launcher/tax/rows.js';
import type { GraphName, TaxRow } from '../launcher/tax/rows.js';
import { formatBytes } from '../launcher/tax/sizes.js';
import { runTax } from '../launcher/tax/tax-run.js';
import type { Finding } from './statistics.js';

const SIZES = [1024, 1024 ** 2, 8 * 1024 ** 2];
const MIB = 1024 ** 2;

/** Lowest ratios star / ring that are good enough, on loopback. */
const LEAST_BYTES: Readonly<Record<GraphName, number>> = { linear: 1.95, layered: 2.9 };
const LEAST_TIME: Readonly<Record<GraphName, number>> = { linear: 1.5, layered: 2 };

/** What a hub costs, in bytes and in time: `./datacenter tax` on loopback. */
export async function measureTax(rounds: number): Promise<Finding[]> {
  const { signal } = new AbortController();
  const { rows } = await runTax({ graphs: GRAPHS, sizes: SIZES, rounds, signal });
  return rows.flatMap((row) => [bytesFinding(row), timeFinding(row)]);
}

function bytesFinding({ graph, payloadBytes, ...row }: TaxRow): Finding {
  return {
    measure: `tax_bytes_${graph}_${nameOf(payloadBytes)}`,
    arms: ['bytes as star', 'bytes as ring'],
    ratio: row.bytesRatio,
    range: row.bytesRange,
    figures: { starBytes: row.star.wireBytes, ringBytes: row.ring.wireBytes },
    ...(payloadBytes >= MIB && { target: { least: LEAST_BYTES[graph] } }),
  };
}

function timeFinding({ graph, payloadBytes, star, ring, ...row }: TaxRow): Finding {
  const least = payloadBytes < MIB ? 1 : LEAST_TIME[graph];
  return {
    measure: `tax_time_${graph}_${nameOf(payloadBytes)}`,
    arms: ['p50 as star', 'p50 as ring'],
    ratio: row.latencyRatio,
    range: row.latencyRange,
    figures: {
      ...{ starP50Ms: star.p50Ms, ringP50Ms: ring.p50Ms },
      ...{ starP99Ms: star.p99Ms, ringP99Ms: ring.p99Ms },
    },
    ...(payloadBytes <= MIB && { target: { least } }),
  };
}

/** `1_kib`. */
function nameOf(payloadBytes: number): string {
  return formatBytes(payloadBytes).toLowerCase().replace(' ', '_');
}
