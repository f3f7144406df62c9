import { credentials } from '@grpc/grpc-js';

import { ApplicationServiceClient, RunState } from '../../../protos/gen/fractory/v1/application.js';
import type { ApplicationServiceGetResponse } from '../../../protos/gen/fractory/v1/application.js';
import { toFractoryError } from '../../../protos/status.js';
import { integerValue } from '../../../protos/values.js';
import type { Device } from '../../../controllers/kernel/device.js';
import type { Operation } from '../../../services/adaptor.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { chain, graph, one, step } from '../../services/application/graphs.js';
import { ask } from '../kernel/faults/cluster.js';
import { operation } from '../kernel/kernels.js';
import { Nodes } from '../kernel/nodes.js';
import { once } from './owners.js';

/** A math device whose operations wait until they are let go. */
class Workbench {
  readonly begun: string[] = [];
  #isOpen = false;
  #listeners: (() => void)[] = [];

  device = (): Promise<Device> => {
    const waits =
      (name: string): Parameters<typeof operation>[1] =>
      async (args) => {
        this.begun.push(name);
        this.#tell();
        while (!this.#isOpen) await this.#change();
        return args.get('input') ?? {};
      };
    const operations: Operation[] = [
      operation('math.wait', waits('wait')),
      once('math.make', waits('make')),
      operation('math.add', (args) => args.get('input') ?? {}),
    ];
    return Promise.resolve({
      adaptor: { type: 'math', operations },
      services: [],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  };

  open(): void {
    this.#isOpen = true;
    this.#tell();
  }

  async hasBegun(times: number): Promise<void> {
    while (this.begun.length < times) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#listeners.push(resolve));
  }

  #tell(): void {
    for (const listener of this.#listeners.splice(0)) listener();
  }
}

interface Running extends AsyncDisposable {
  readonly nodes: Nodes;
  readonly bench: Workbench;
}

/** Application nodes, the first leads; storage and a workbench. */
async function running({ applications = 2, graceMs = 3000 } = {}): Promise<Running> {
  const nodes = await Nodes.start({ limits: { shutdown_grace_ms: graceMs } });
  const bench = new Workbench();
  await nodes.storage('storage-1');
  await nodes.math('math-1', bench.device);
  for (let number = 1; number <= applications; number++)
    await nodes.application(`application-${String(number)}`);
  return {
    ...{ nodes, bench },
    [Symbol.asyncDispose]: async () => {
      bench.open();
      await nodes[Symbol.asyncDispose]();
    },
  };
}

const waiting = graph([step('a', 'math.wait', { input: one }), step('b')], 'a>b');
const making = graph([step('a', 'math.make', { input: one }), step('b')], 'a>b');

function get(nodes: Nodes, name: string, run: string): Promise<ApplicationServiceGetResponse> {
  const { address } = nodes.node(name).node;
  const client = new ApplicationServiceClient(address, credentials.createInsecure());
  return ask<ApplicationServiceGetResponse>((done) => client.get({ run }, done)).finally(() => {
    client.close();
  });
}

suite('durable runs on nodes', (test) => {
  test('a run goes on at the next node when its own is lost, and its client follows', async () => {
    await using served = await running();
    const { nodes, bench } = served;
    const client = nodes.client();
    const finished = client.runGraph(waiting, { id: 'r', durable: true });
    await bench.hasBegun(1);
    await nodes.vanish('application-1');
    await bench.hasBegun(2);
    bench.open();
    const { result, attempts } = await finished;
    assert.equal([result, attempts], [integerValue(1n), 2]);
    assert.equal((await client.watch('r')).result, integerValue(1n));
    const { run } = await get(nodes, 'application-2', 'r');
    assert.equal([run?.durable, run?.state, run?.ended?.attempts], [true, RunState.SUCCEEDED, 2]);
  });

  test('what must not be done twice is done once, whoever leads', async () => {
    await using served = await running();
    const { nodes, bench } = served;
    const finished = nodes.client().runGraph(making, { id: 'r', durable: true });
    await bench.hasBegun(1);
    await nodes.vanish('application-1');
    // The run is known at the other node once it has taken it up.
    const following = nodes.client('application-2').watch('r');
    bench.open();
    const { result, receipts } = await finished;
    await following;
    assert.equal([result, bench.begun], [integerValue(1n), ['make']]);
    assert.equal(receipts[0]?.reused, true);
  });

  test('a node that stops politely leaves durable runs to the next one and finishes the others', async () => {
    await using served = await running();
    const { nodes, bench } = served;
    const client = nodes.client();
    const durable = client.runGraph(waiting, { id: 'durable', durable: true });
    const plain = client.runGraph(waiting, { id: 'plain' });
    await bench.hasBegun(2);
    const stopped = nodes.stop('application-1');
    await bench.hasBegun(3);
    bench.open();
    const [first, second] = await Promise.all([durable, plain]);
    assert.equal([first.attempts, second.attempts], [2, 1]);
    await stopped;
  });

  test('where there is no other, it finishes durable runs too', async () => {
    await using served = await running({ applications: 1 });
    const { nodes, bench } = served;
    const durable = nodes.client().runGraph(waiting, { id: 'durable', durable: true });
    await bench.hasBegun(1);
    const stopped = nodes.stop('application-1');
    bench.open();
    assert.is((await durable).attempts, 1);
    await stopped;
  });

  test('what is left at the end of the grace period ends UNAVAILABLE; what is durable goes on in the next life', async () => {
    await using served = await running({ applications: 1, graceMs: 100 });
    const { nodes, bench } = served;
    const { address } = nodes.node('application-1').node;
    const client = new ApplicationServiceClient(address, credentials.createInsecure());
    const broken = ['plain', 'durable'].map((run) => {
      const request = { run, graph: waiting, topology: 0, budgetMs: 9000 } as const;
      const stream = client.run({ ...request, durable: run === 'durable' });
      return new Promise<Error>((resolve) => stream.on('error', resolve).resume());
    });
    await bench.hasBegun(2);
    await nodes.stop('application-1');
    for (const error of await Promise.all(broken))
      assert.is(toFractoryError(error).reason, 'NODE_STOPPING');
    client.close();
    bench.open();
    await nodes.application('application-1');
    const { result, attempts } = await nodes.client().watch('durable');
    assert.equal([result, attempts], [integerValue(1n), 2]);
    await rejects(nodes.client().watch('plain'), FractoryError, { reason: 'RUN_NOT_FOUND' });
  });

  test('a run that is not known is NOT_FOUND, also where others are written down', async () => {
    await using served = await running();
    const { nodes, bench } = served;
    bench.open();
    const client = nodes.client();
    await client.runGraph(chain(2, 1n), { id: 'r', durable: true });
    await rejects(client.watch('other'), FractoryError, { reason: 'RUN_NOT_FOUND' });
    await rejects(get(nodes, 'application-1', 'other'), FractoryError, { reason: 'RUN_NOT_FOUND' });
  });
});
