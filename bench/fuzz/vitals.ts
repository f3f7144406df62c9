import { readdir, readFile } from 'node:fs/promises';

import type { Target } from './fuzzed-data-center.js';

/** What a process holds at one moment. */
export interface Vitals {
  readonly id: string;
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Of the event loop; only of nodes. */
  readonly handles?: number;
  readonly heapBytes?: number;
}

const TIMEOUT_MS = 10_000;

export async function vitalsOf({ id, pid, metricsAddress }: Target): Promise<Vitals> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => '');
  const descriptors = await readdir(`/proc/${String(pid)}/fd`).catch(() => []);
  const metrics = metricsAddress === undefined ? '' : await metricsFrom(metricsAddress);
  const handles = gauge(metrics, 'fractory_nodejs_active_resources_total');
  const heapBytes = gauge(metrics, 'fractory_nodejs_heap_size_used_bytes');
  return {
    id,
    residentBytes: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024,
    descriptors: descriptors.length,
    ...(handles !== undefined && { handles }),
    ...(heapBytes !== undefined && { heapBytes }),
  };
}

async function metricsFrom(address: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const headers = { connection: 'close' };
    return await (await fetch(`http://${address}/metrics`, { signal, headers })).text();
  } catch {
    return '';
  }
}

function gauge(metrics: string, name: string): number | undefined {
  const value = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(metrics)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** What may be more than at the first rest: caches of code and of the allocator, and a few connections of those who mean well. */
const MEMORY = { factor: 1.3, more: 64 * 1024 ** 2 };
const HEAP = { factor: 1.2, more: 12 * 1024 ** 2 };
const COUNT = { factor: 1, more: 12 };

/** What has grown from one rest to another, in words. */
export function growth(before: Vitals, after: Vitals): string[] {
  const grown: string[] = [];
  if (after.residentBytes > MEMORY.factor * before.residentBytes + MEMORY.more)
    grown.push(`${after.id} holds ${mib(after.residentBytes)} after ${mib(before.residentBytes)}`);
  if ((after.heapBytes ?? 0) > HEAP.factor * (before.heapBytes ?? 0) + HEAP.more)
    grown.push(
      `${after.id} has a heap of ${mib(after.heapBytes ?? 0)} after ${mib(before.heapBytes ?? 0)}`,
    );
  if (after.descriptors > COUNT.factor * before.descriptors + COUNT.more)
    grown.push(
      `${after.id} has ${String(after.descriptors)} descriptors after ${String(before.descriptors)}`,
    );
  if ((after.handles ?? 0) > COUNT.factor * (before.handles ?? 0) + COUNT.more)
    grown.push(`${after.id} has ${String(after.handles)} handles after ${String(before.handles)}`);
  return grown;
}

export const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
