import { once } from 'node:events';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { Metadata } from '@grpc/grpc-js';

import type { KernelAccess } from '../controllers/kernel/device.js';
import { ControllerServiceClient } from '../protos/gen/fractory/v1/controller.js';
import type { AllocateResponse } from '../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../protos/gen/fractory/v1/capability.js';
import { ChannelPool } from '../runtime/channels.js';
import { COPY_BYTES } from './copy-sizes.js';
import type { CopyOrder } from './copy-sizes.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';

/** Copies in each arm of a round. */
const COPIES = 8;
const CHUNK = Buffer.alloc(1024 * 1024, 7);
const PLENTY_MS = 600_000;

/** Two processes without a data center: one has the bytes, the other gets them. */
class Rivals implements AsyncDisposable {
  readonly #children: readonly ChildProcess[];
  readonly #ports: Readonly<Record<CopyOrder['kind'], number>>;

  private constructor(
    children: readonly ChildProcess[],
    ports: Readonly<Record<CopyOrder['kind'], number>>,
  ) {
    this.#children = children;
    this.#ports = ports;
  }

  static async start(): Promise<Rivals> {
    const script = fileURLToPath(new URL('./copy-rival.js', import.meta.url));
    const server = fork(script, ['serve']);
    const [ports] = (await once(server, 'message')) as [{ grpc: number; tcp: number }];
    return new Rivals([fork(script, ['fetch']), server], ports);
  }

  /** Milliseconds that one copy took. */
  async copy(kind: CopyOrder['kind']): Promise<number> {
    const fetcher = this.#children[0];
    const order: CopyOrder = { kind, port: this.#ports[kind] };
    fetcher?.send(order);
    const [tookMs] = (await once(fetcher ?? process, 'message')) as [number];
    return tookMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        const ended = once(child, 'exit');
        child.disconnect();
        await ended;
      }),
    );
  }
}

/** A copy of 64 MiB between memories of two nodes against a bare grpc-js stream of the same chunks, and against plain TCP. */
export async function measureCopy(rounds: number): Promise<Finding[]> {
  await using rivals = await Rivals.start();
  await using center = await SmallDataCenter.start({ 'math-1': 'math', 'math-2': 'math' });
  const { kernel } = center;
  const channels = new ChannelPool();
  const [source, destination] = await Promise.all(
    ['math-1', 'math-2'].map((id) => allocate(kernel, channels, id)),
  );
  if (!source || !destination) throw new Error('there are no memories');
  await fill(kernel, source);
  const rates = { copy: [] as number[], grpc: [] as number[], tcp: [] as number[] };
  // The first round warms all arms up.
  for (let round = 0; round <= rounds; round++) {
    const copy = await rateOf(() => copyOnce(kernel, source, destination));
    const grpc = await rateOf(() => rivals.copy('grpc'));
    const tcp = await rateOf(() => rivals.copy('tcp'));
    if (round === 0) continue;
    rates.copy.push(copy);
    rates.grpc.push(grpc);
    rates.tcp.push(tcp);
  }
  channels.close();
  const ratios = (bottom: number[]): number[] =>
    rates.copy.map((rate, index) => rate / (bottom[index] ?? Number.NaN));
  const figures = { copyMbPerSecond: median(rates.copy) };
  return [
    finding(
      'memory_copy_vs_grpc_stream',
      ['MB/s of a memory copy', 'MB/s of a bare grpc-js stream'],
      ratios(rates.grpc),
      { ...figures, streamMbPerSecond: median(rates.grpc) },
      { least: 0.8 },
    ),
    finding(
      'memory_copy_vs_tcp',
      ['MB/s of a memory copy', 'MB/s of a plain TCP copy'],
      ratios(rates.tcp),
      { ...figures, tcpMbPerSecond: median(rates.tcp) },
      { least: 0.5 },
    ),
  ];
}

/** MB a second, median of some copies. */
async function rateOf(copy: () => Promise<number>): Promise<number> {
  const tookMs: number[] = [];
  for (let count = 0; count < COPIES; count++) tookMs.push(await copy());
  return COPY_BYTES / 1e6 / (median(tookMs) / 1000);
}

async function copyOnce(
  kernel: KernelAccess,
  source: Capability,
  destination: Capability,
): Promise<number> {
  const startedAt = performance.now();
  const signal = new AbortController().signal;
  const { sizeBytes } = await kernel.memory.copy(source, destination, { signal });
  if (sizeBytes !== BigInt(COPY_BYTES)) throw new Error(`${String(sizeBytes)} bytes were copied`);
  return performance.now() - startedAt;
}

async function allocate(
  kernel: KernelAccess,
  channels: ChannelPool,
  id: string,
): Promise<Capability> {
  const address = kernel.members().find((member) => member.id === id)?.address ?? '';
  const client = channels.client(ControllerServiceClient, address);
  const request = { sizeBytes: BigInt(COPY_BYTES), leaseMs: PLENTY_MS };
  const { capability } = await new Promise<AllocateResponse>((resolve, reject) => {
    client.allocate(request, new Metadata(), (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
  if (!capability) throw new Error(`${id} allocated nothing`);
  return capability;
}

async function fill(kernel: KernelAccess, memory: Capability): Promise<void> {
  const chunks = Array.from({ length: COPY_BYTES / CHUNK.length }, () => CHUNK);
  await kernel.memory.write(memory, 0, chunks, new AbortController().signal);
}
