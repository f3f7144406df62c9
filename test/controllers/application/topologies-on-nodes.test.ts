import { credentials } from '@grpc/grpc-js';

import type { Device } from '../../../controllers/kernel/device.js';
import {
  ApplicationServiceClient,
  RunState,
  Topology,
} from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunResponse } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { integerValue, listValue, textValue, toPlain } from '../../../protos/values.js';
import { assert, suite } from '../../suite.js';
import { graph, map, one, step } from '../../services/application/graphs.js';
import { Nodes } from '../kernel/nodes.js';
import { cases, check, limits } from './contract.js';
import { Operations } from './operations.js';

const TOPOLOGIES = { ring: Topology.RING, star: Topology.STAR };

/** An application node and math nodes with the test's operations, over gRPC. */
class Cluster implements AsyncDisposable {
  readonly nodes: Nodes;
  readonly operations: ReadonlyMap<string, Operations>;
  readonly client: ApplicationServiceClient;
  #runs = 0;

  private constructor(
    nodes: Nodes,
    operations: ReadonlyMap<string, Operations>,
    client: ApplicationServiceClient,
  ) {
    this.nodes = nodes;
    this.operations = operations;
    this.client = client;
  }

  static async start(members: number): Promise<Cluster> {
    const nodes = await Nodes.start({ limits });
    const operations = new Map<string, Operations>();
    for (let member = 1; member <= members; member++) {
      const id = `math-${String(member)}`;
      const own = new Operations();
      operations.set(id, own);
      const device: Device = {
        ...{ adaptor: { type: 'math', operations: own.all }, services: [] },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
      await nodes.math(id, () => Promise.resolve(device));
    }
    await nodes.application('application-1');
    const { address } = nodes.node('application-1').node;
    const client = new ApplicationServiceClient(address, credentials.createInsecure());
    return new Cluster(nodes, operations, client);
  }

  /** Resolves with the end of the run; `id` is told before. */
  async run(
    sent: Graph,
    topology: Topology,
    budgetMs = 5000,
    begun?: (id: string) => void,
  ): Promise<RunEnded> {
    const run = `r${String(++this.#runs)}`;
    const deadline = Date.now() + budgetMs + 2000;
    const request = { run, graph: sent, topology, budgetMs, durable: false };
    const stream = this.client.run(request, { deadline });
    for await (const { event } of stream as AsyncIterable<RunResponse>) {
      if (event?.event?.$case === 'attempted') begun?.(run);
      if (event?.event?.$case === 'ended') return event.event.value;
    }
    throw new Error('the run did not end');
  }

  cancel(run: string): Promise<RunState> {
    return new Promise((resolve, reject) => {
      this.client.cancel({ run }, (error, response) => {
        if (error) reject(error);
        else resolve(response.state);
      });
    });
  }

  /** Resolves when a step has begun, or its work was aborted, on any member. */
  async until(what: 'begun' | 'aborted', name: string): Promise<void> {
    while (
      ![...this.operations.values()].some((one) =>
        one[what].some((key) => key.endsWith(`/${name}`)),
      )
    )
      await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.nodes[Symbol.asyncDispose]();
  }
}

suite('ring and star, on nodes', (test) => {
  for (const [name, topology] of Object.entries(TOPOLOGIES)) {
    test(
      `${name}: every graph comes to what it must`,
      async () => {
        await using cluster = await Cluster.start(3);
        for (const one of cases) {
          const ended = await cluster.run(one.graph, topology);
          try {
            check(one, ended);
          } catch (error) {
            (error as Error).message = `${one.name}: ${(error as Error).message}`;
            throw error;
          }
        }
      },
      { timeoutMs: 60_000 },
    );

    test(`${name}: a cancel reaches the step that is running`, async () => {
      await using cluster = await Cluster.start(1);
      const hanging = graph([
        map('m', graph([step('w', 'math.hang')], '>w'), { input: listValue([one, one]) }),
      ]);
      let id = '';
      const ended = cluster.run(hanging, topology, 5000, (run) => (id = run));
      await cluster.until('begun', 'w[1]');
      assert.is(await cluster.cancel(id), RunState.CANCELLED);
      await cluster.until('aborted', 'w[0]');
      await cluster.until('aborted', 'w[1]');
      assert.is((await ended).state, RunState.CANCELLED);
    });

    test(`${name}: the end of the budget, and a failure elsewhere, reach the step that is running`, async () => {
      await using cluster = await Cluster.start(2);
      const late = await cluster.run(
        graph([step('late', 'math.hang', { input: one })]),
        topology,
        150,
      );
      assert.is(late.state, RunState.TIMED_OUT);
      await cluster.until('aborted', 'late');
      const sent = graph([
        step('w', 'math.hang', { input: one }),
        step('e', 'math.even', { input: one }),
      ]);
      const failed = await cluster.run(sent, topology);
      assert.equal([failed.state, failed.failure?.step], [RunState.FAILED, 'e']);
      await cluster.until('aborted', 'w');
    });

    test(`${name}: the application node's own operations take part`, async () => {
      await using cluster = await Cluster.start(1);
      const sent = graph(
        [
          map(
            'm',
            graph(
              [step('e', 'math.even'), step('why', 'application.explain'), step('x')],
              ...['>e', '!e>why', '>x'],
            ),
            { input: listValue([integerValue(2n), integerValue(3n)]) },
          ),
          step('table', 'application.rows', { columns: textValue('even,next') }),
        ],
        'm>table',
      );
      const { result, failure } = await cluster.run(sent, topology);
      assert.is(failure?.message, undefined);
      const [first, second] = toPlain(result) as Record<string, unknown>[];
      assert.equal(first, { even: '2', next: '3' });
      const { failed, step: where, reason } = second?.['even'] as Record<string, unknown>;
      assert.equal([failed, where, reason, second?.['next']], [true, 'e[1]', 'ODD', '4']);
    });

    test(`${name}: a map uses all members`, async () => {
      await using cluster = await Cluster.start(3);
      const elements = listValue(
        Array.from({ length: 12 }, (_, index) => integerValue(BigInt(index))),
      );
      const sent = graph([
        map('m', graph([step('x'), step('y')], '>x', 'x>y'), { input: elements }),
      ]);
      const { receipts, result } = await cluster.run(sent, topology);
      assert.is((toPlain(result) as unknown[]).length, 12);
      const byElement = new Map<string, Set<string>>();
      for (const receipt of receipts) {
        const [, item = ''] = /\[(\d+)\]$/.exec(receipt.step) ?? [];
        byElement.set(item, (byElement.get(item) ?? new Set()).add(receipt.member));
      }
      // What passes between the steps of one element stays on one member.
      assert.ok([...byElement.values()].every((members) => members.size === 1));
      assert.is(new Set(receipts.map(({ member }) => member)).size, 3);
    });

    test(`${name}: a member that is lost in the middle of a map costs an attempt, and no more`, async () => {
      await using cluster = await Cluster.start(2);
      cluster.operations.get('math-1')!.isStuck = true;
      const elements = listValue([1n, 2n, 3n, 4n].map(integerValue));
      const sent = graph(
        [
          map('m', graph([step('w', 'math.stuck')], '>w'), { input: elements }),
          step('s', 'math.sum'),
        ],
        'm>s',
      );
      const ended = cluster.run(sent, topology);
      await cluster.until('begun', 'w[1]');
      await Promise.all([cluster.nodes.vanish('math-1'), cluster.nodes.stop('math-1')]);
      const { state, attempts, result } = await ended;
      assert.equal([state, toPlain(result)], [RunState.SUCCEEDED, '10']);
      assert.ok(attempts >= 2);
    });
  }
});
