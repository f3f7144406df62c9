import { once } from 'node:events';
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { z } from 'zod';

import { childEnvironment } from '../../config/node-environment.js';
import type { PrivateNetwork } from './private-network.js';

/** What a raw TCP connection between two nodes really has. */
export interface LinkMeasure {
  /** Payload, without headers. */
  readonly bitsPerSecond: number;
  /** Median of small messages there and back, microseconds. */
  readonly roundTripUs: number;
}

const measureSchema = z.object({ bitsPerSecond: z.number(), roundTripUs: z.number() });
const run = promisify(execFile);
const TIMEOUT_MS = 60_000;
/** Transfers take about this long. */
const TRANSFER_SECONDS = 0.4;
const MAX_BYTES = 128 * 1024 ** 2;
const UNSHAPED_BITS_PER_SECOND = 2e9;

/** Sends as much as takes a moment from one member's namespace to another's. */
export async function measureLink(
  network: Pick<PrivateNetwork, 'addressOf' | 'within'>,
  [from, to]: readonly [string, string],
  bitsPerSecond = UNSHAPED_BITS_PER_SECOND,
): Promise<LinkMeasure> {
  const script = fileURLToPath(new URL('./rate-probe-main.js', import.meta.url));
  const host = network.addressOf(to);
  const bytes = Math.min(MAX_BYTES, Math.round((bitsPerSecond / 8) * TRANSFER_SECONDS));
  const [program, ...options] = network.within(to);
  const sink = spawn(program, [...options, process.execPath, script, 'sink', host], {
    ...{ stdio: ['pipe', 'pipe', 'inherit'], env: childEnvironment() },
  });
  const ended = once(sink, 'exit');
  try {
    const [port] = (await once(sink.stdout, 'data', {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })) as [Buffer];
    const [source, ...rest] = network.within(from);
    const args = [process.execPath, script, 'source', host, port.toString().trim(), String(bytes)];
    const { stdout } = await run(source, [...rest, ...args], { timeout: TIMEOUT_MS });
    return measureSchema.parse(JSON.parse(stdout));
  } finally {
    sink.stdin.end();
    await ended;
  }
}
