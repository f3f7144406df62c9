import { Metadata } from '@grpc/grpc-js';

import {
  ApplicationServiceClient,
  RunState,
  Topology,
} from '../../protos/gen/fractory/v1/application.js';
import type { RunResponse } from '../../protos/gen/fractory/v1/application.js';
import { BlockServiceClient } from '../../protos/gen/fractory/v1/block.js';
import { CnnServiceClient } from '../../protos/gen/fractory/v1/cnn.js';
import { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { MathServiceClient } from '../../protos/gen/fractory/v1/math.js';
import { StorageServiceClient } from '../../protos/gen/fractory/v1/storage.js';
import type { PutRequest } from '../../protos/gen/fractory/v1/storage.js';
import { integerValue } from '../../protos/values.js';
import { ChannelPool } from '../../runtime/channels.js';
import { sleep } from '../../runtime/deadline.js';
import { messageOf } from '../../runtime/errors.js';
import type { Target } from './fuzzed-data-center.js';
import { quantile } from '../statistics.js';

/** How a node served those who mean well. */
export interface Service {
  readonly id: string;
  readonly calls: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** Of calls over a connection of their own, made for the purpose. */
  readonly newcomers: number;
  readonly failures: readonly string[];
}

const GAP_MS = 50;
/** One call of so many comes over a new connection. */
const NEWCOMER_EVERY = 10;
const DEADLINE_MS = 10_000;
const FILE = { client: 'good', name: 'in.bin' };

type Work = (pool: ChannelPool, address: string) => Promise<void>;

/** Calls a node like anybody would, all the time, and notes how it is served. */
export class GoodClient {
  readonly #target: Target;
  readonly #work: Work;
  readonly #samples: number[] = [];
  readonly #failures: string[] = [];
  #newcomers = 0;

  constructor(target: Target) {
    const work = WORKS[target.type];
    if (!work) throw new Error(`nobody knows what to ask a ${target.type} node`);
    this.#target = target;
    this.#work = work;
  }

  get service(): Service {
    return {
      ...{ id: this.#target.id, calls: this.#samples.length, failed: this.#failures.length },
      ...{ p50Ms: quantile(this.#samples, 0.5), p99Ms: quantile(this.#samples, 0.99) },
      longestMs: Math.max(0, ...this.#samples),
      ...{ newcomers: this.#newcomers, failures: [...new Set(this.#failures)].slice(0, 5) },
    };
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const pool = new ChannelPool();
    if (this.#target.type === 'storage') await store(pool, this.#target.address);
    for (let count = 0; !signal.aborted; count++) {
      if (count % NEWCOMER_EVERY === 0) await this.#asNewcomer();
      else await this.#call(pool);
      await sleep(GAP_MS, signal).catch(() => undefined);
    }
    pool.close();
  }

  async #asNewcomer(): Promise<void> {
    this.#newcomers++;
    const pool = new ChannelPool({ options: { 'grpc.use_local_subchannel_pool': 1 } });
    await this.#call(pool);
    pool.close();
  }

  async #call(pool: ChannelPool): Promise<void> {
    const startedAt = performance.now();
    try {
      await this.#work(pool, this.#target.address);
    } catch (error) {
      this.#failures.push(messageOf(error));
    }
    this.#samples.push(performance.now() - startedAt);
  }
}

const options = () => ({ deadline: Date.now() + DEADLINE_MS });

/** A unary call of a generated client as a promise. */
function answered<T>(
  start: (done: (error: Error | null, response: T) => void) => unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`a wrong answer: ${what}`);
}

const WORKS: Readonly<Record<string, Work>> = {
  math: async (pool, address) => {
    const client = pool.client(MathServiceClient, address);
    const { result } = await answered<{ result: string }>((done) =>
      client.binomial({ n: '20', k: '10' }, new Metadata(), options(), done),
    );
    expect(result === '184756', `20 over 10 is ${result}`);
  },
  storage: async (pool, address) => {
    const client = pool.client(StorageServiceClient, address);
    const { file } = await answered<{ file?: { sizeBytes: bigint } | undefined }>((done) =>
      client.stat(FILE, new Metadata(), options(), done),
    );
    expect(file?.sizeBytes === 4n, 'a file of another size');
  },
  block: async (pool, address) => {
    const client = pool.client(BlockServiceClient, address);
    const { capacityBytes } = await answered<{ capacityBytes: bigint }>((done) =>
      client.usage({}, new Metadata(), options(), done),
    );
    expect(capacityBytes > 0n, 'no capacity');
  },
  cnn: async (pool, address) => {
    const client = pool.client(CnnServiceClient, address);
    const { models } = await answered<{ models: readonly unknown[] }>((done) =>
      client.listModels({}, new Metadata(), options(), done),
    );
    expect(models.length > 0, 'no models');
  },
  application: async (pool, address) => {
    const client = pool.client(ApplicationServiceClient, address);
    const request = {
      run: '',
      graph: ADDITION,
      topology: Topology.RING,
      budgetMs: 5000,
      durable: false,
    };
    const stream = client.run(request, new Metadata(), options());
    for await (const { event } of stream as AsyncIterable<RunResponse>) {
      if (event?.event?.$case !== 'ended') continue;
      const { state, failure } = event.event.value;
      expect(state === RunState.SUCCEEDED, failure?.message ?? 'a run without success');
    }
  },
};

const ADDITION = Graph.fromPartial({
  name: 'good',
  steps: [
    {
      ...{ id: 'add', operation: 'math.add' },
      arguments: [
        { name: 'input', value: integerValue(1n) },
        { name: 'by', value: integerValue(2n) },
      ],
    },
  ],
});

async function store(pool: ChannelPool, address: string): Promise<void> {
  const client = pool.client(StorageServiceClient, address);
  const header: PutRequest = {
    part: {
      $case: 'header',
      value: { ...FILE, ifVersion: undefined, mediaType: 'text/plain', sha256: '' },
    },
  };
  await answered((done) => {
    const call = client.put(new Metadata(), options(), done);
    call.write(header);
    call.end({ part: { $case: 'chunk', value: Buffer.from('good') } });
  });
}
