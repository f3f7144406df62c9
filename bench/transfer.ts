import { readFileSync } from 'node:fs';

import { Metadata } from '@grpc/grpc-js';

import { StorageServiceClient } from '../protos/gen/fractory/v1/storage.js';
import { ChannelPool } from '../runtime/channels.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';

const SIZES = { small: 64 * 1024 ** 2, large: 256 * 1024 ** 2 } as const;
const CHUNK = Buffer.alloc(256 * 1024, 7);

/** Storage's resident memory while 256 MiB stream through it, against 64 MiB: constant means a ratio of 1. */
export async function measureTransfer(rounds: number): Promise<Finding[]> {
  await using center = await SmallDataCenter.start({ 'storage-1': 'storage' });
  const address = center.kernel.pick('storage').address;
  const pid = center.pids[0] ?? 0;
  const pool = new ChannelPool();
  const client = pool.client(StorageServiceClient, address);
  const peaks = { small: [] as number[], large: [] as number[] };
  const rates = { put: [] as number[], get: [] as number[] };
  await transfer(client, SIZES.large, pid);
  for (let round = 0; round < rounds; round++)
    for (const size of ['small', 'large'] as const) {
      const { putMs, getMs, peakBytes } = await transfer(client, SIZES[size], pid);
      peaks[size].push(peakBytes);
      if (size === 'large') {
        rates.put.push(SIZES.large / 1e6 / (putMs / 1000));
        rates.get.push(SIZES.large / 1e6 / (getMs / 1000));
      }
    }
  pool.close();
  return [
    finding(
      'transfer_memory_256_vs_64_mib',
      ['peak memory of storage at 256 MiB', 'at 64 MiB'],
      peaks.large.map((peak, index) => peak / (peaks.small[index] ?? Number.NaN)),
      {
        peakLargeMib: median(peaks.large) / 1024 ** 2,
        peakSmallMib: median(peaks.small) / 1024 ** 2,
        putMbPerSecond: median(rates.put),
        getMbPerSecond: median(rates.get),
      },
    ),
  ];
}

/** Puts and gets one file, and watches the server's memory meanwhile. */
async function transfer(
  client: StorageServiceClient,
  bytes: number,
  pid: number,
): Promise<{ putMs: number; getMs: number; peakBytes: number }> {
  let peakBytes = 0;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(pid));
  }, 5);
  const startedAt = performance.now();
  await put(client, bytes);
  const putAt = performance.now();
  const received = await get(client);
  const gotAt = performance.now();
  clearInterval(watch);
  if (received !== bytes) throw new Error(`got ${String(received)} of ${String(bytes)} bytes`);
  return { putMs: putAt - startedAt, getMs: gotAt - putAt, peakBytes };
}

const FILE = { client: 'bench', name: 'large.bin' };

function put(client: StorageServiceClient, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = client.put(new Metadata(), (error: Error | null) => {
      if (error) reject(error);
      else resolve();
    });
    call.write({ part: { $case: 'header', value: { ...FILE, mediaType: '', sha256: '' } } });
    let left = bytes;
    const more = (): void => {
      while (left > 0) {
        left -= CHUNK.length;
        if (!call.write({ part: { $case: 'chunk', value: CHUNK } })) {
          call.once('drain', more);
          return;
        }
      }
      call.end();
    };
    more();
  });
}

async function get(client: StorageServiceClient): Promise<number> {
  let received = 0;
  for await (const message of client.get(FILE)) {
    const { part } = message as { part?: { $case: string; value: Uint8Array } };
    if (part?.$case === 'chunk') received += part.value.length;
  }
  return received;
}

/** Resident memory of a process, bytes (Linux). */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
