import path from 'node:path';

import type { Device, DeviceContext, MakeDevice } from '../../../controllers/kernel/device.js';
import { makeMathDevice } from '../../../controllers/math/device.js';
import type { MathSettings } from '../../../controllers/math/settings.js';
import { makeStorageDevice } from '../../../controllers/storage/device.js';
import { settings as storageSettings } from '../../../controllers/storage/settings.js';
import { BlockServiceClient } from '../../../protos/gen/fractory/v1/block.js';
import type { UsageResponse } from '../../../protos/gen/fractory/v1/block.js';
import type { Memory, Value } from '../../../protos/gen/fractory/v1/value.js';
import { toBlob } from '../../../protos/values.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { OperationResult } from '../../../services/adaptor.js';
import { KeptResult } from '../../../services/content.js';
import { assert } from '../../suite.js';
import { Nodes } from '../kernel/nodes.js';

export type Context = DeviceContext<MathSettings>;
type Step = { readonly run: string; readonly step: string };

/** A block node, a node that bears a storage device over it, and a node that reads and produces: all real, all in this process. */
export interface Layered extends AsyncDisposable {
  readonly nodes: Nodes;
  readonly folder: string;
  /** Of the node that bears the storage device. */
  readonly host: Context;
  /** Of the node that reads and produces. */
  readonly other: Context;
  readonly storage: Device;
  /** Another storage device of the same folder at the same node. */
  another(given?: Readonly<Record<string, string>>): Promise<Device>;
  perform(
    name: string,
    args: Readonly<Record<string, Value>>,
    more?: PerformOptions,
  ): Promise<Value>;
  /** What storage.read yields: a memory. */
  read(args: Readonly<Record<string, Value>>, more?: PerformOptions): Promise<Memory>;
  /** The whole of a memory, as the other node reads it. */
  bytesOf(memory: Memory): Promise<Buffer>;
  usage(): Promise<UsageResponse>;
}

export interface PerformOptions {
  readonly device?: Device;
  readonly budgetMs?: number;
  readonly step?: Step;
  /** Default: what the node does. */
  readonly stream?: (value: Value) => AsyncIterable<Uint8Array>;
}

/** `given`: keys of the storage section; `block`: of the block device. */
export async function layered(
  given: Readonly<Record<string, string>> = {},
  block: Readonly<Record<string, string>> = {},
): Promise<Layered> {
  const nodes = await Nodes.start();
  const contexts = new Map<string, Context>();
  const make: MakeDevice<MathSettings> = (context) => {
    contexts.set(context.member, context);
    return makeMathDevice(context);
  };
  await nodes.block('block-1', { capacity_bytes: '16 MiB', ...block });
  await nodes.math('math-1', make);
  await nodes.math('math-2', make);
  const host = contexts.get('math-1')!;
  const other = contexts.get('math-2')!;
  const folder = path.join(nodes.folder, 'storage');
  const devices: Device[] = [];
  const another = async (more: Readonly<Record<string, string>> = {}): Promise<Device> => {
    const settings = storageSettings.parse({ backend: 'block', ...given, ...more });
    const device = await makeStorageDevice({ ...host, settings, storagePath: folder });
    devices.push(device);
    return device;
  };
  const storage = await another();
  const perform: Layered['perform'] = async (name, args, more = {}) => {
    const result = await performOn(more.device ?? storage, host, name, args, more);
    assert.not.instance(result, KeptResult);
    return result as Value;
  };
  return {
    ...{ nodes, folder, host, other, storage, another, perform },
    read: async (args, more) => {
      const { kind } = await perform('read', args, more);
      assert.ok(kind?.$case === 'memory');
      return kind.value;
    },
    bytesOf: (memory) => wholeOf(other, memory),
    usage: () => usageOf(host),
    [Symbol.asyncDispose]: async () => {
      for (const device of devices) await device[Symbol.asyncDispose]();
      await nodes[Symbol.asyncDispose]();
    },
  };
}

async function performOn(
  device: Device,
  host: Context,
  name: string,
  args: Readonly<Record<string, Value>>,
  { budgetMs = 5000, step, stream }: PerformOptions,
): Promise<OperationResult> {
  const operation = device.adaptor.operations.find(({ spec }) => spec.name === `storage.${name}`);
  assert.ok(operation);
  const { signal } = new AbortController();
  return operation.perform(new Map(Object.entries(args)), {
    ...{ signal, budgetMs, step, log: silentLogger(), expiresAtMs: Date.now() + budgetMs },
    stream: stream ?? ((value) => streamOf(host, value, signal)),
  });
}

async function* streamOf(
  host: Context,
  value: Value,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (value.kind?.$case === 'memory') yield* host.kernel.memory.stream(value.kind.value, signal);
  else yield toBlob(value).data;
}

async function wholeOf(context: Context, memory: Memory): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const { signal } = new AbortController();
  for await (const chunk of context.kernel.memory.stream(memory, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A call of the typed service of block-1. */
export function callBlock<R>(
  host: Context,
  start: (client: BlockServiceClient, done: (error: Error | null, response: R) => void) => unknown,
): Promise<R> {
  return host.peers.call(
    { member: 'block-1' },
    BlockServiceClient,
    (client) =>
      new Promise<R>((resolve, reject) => {
        start(client, (error, response) => {
          if (error) reject(error);
          else resolve(response);
        });
      }),
    new AbortController().signal,
  );
}

function usageOf(host: Context): Promise<UsageResponse> {
  return callBlock(host, (client, done) => client.usage({}, done));
}
