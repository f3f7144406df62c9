import { Topology } from '../../../../protos/gen/fractory/v1/application.js';
import type { InvokeResponse } from '../../../../protos/gen/fractory/v1/controller.js';
import { InvokeRequest } from '../../../../protos/gen/fractory/v1/controller.js';
import type { Graph } from '../../../../protos/gen/fractory/v1/graph.js';
import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import { toFractoryError } from '../../../../protos/status.js';
import { integerValue, listValue, textValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { chain, graph, map, one, step } from '../../../services/application/graphs.js';
import { ask, Cluster, RunState } from './cluster.js';
import { elements } from './workshop.js';

/** Graphs that must not begin, and what is said of them. */
const REFUSED: readonly {
  readonly name: string;
  readonly graph: Graph;
  readonly reason: string;
  readonly message: string;
}[] = [
  {
    name: 'a cycle',
    graph: graph([step('a'), step('b'), step('c', 'math.add', { input: one })], 'a>b', 'b>a'),
    reason: 'BAD_GRAPH',
    message: 'cycle: b -> a -> b',
  },
  {
    name: 'a step that leads to itself',
    graph: graph([step('a')], 'a>a'),
    reason: 'BAD_GRAPH',
    message: 'a -> a',
  },
  {
    name: 'a cycle within a map',
    graph: graph([
      map('m', graph([step('x', 'math.join'), step('y')], '>x.left', 'y>x.right', 'x>y'), {
        input: listValue([one]),
      }),
    ]),
    reason: 'BAD_GRAPH',
    message: 'cycle',
  },
  {
    name: 'an unknown operation',
    graph: graph([step('a', 'math.ad', { input: one })]),
    reason: 'BAD_GRAPH',
    message: 'math.ad',
  },
  {
    name: 'an unknown device type',
    graph: graph([step('a', 'meth.add', { input: one })]),
    reason: 'UNKNOWN_TYPE',
    message: 'math',
  },
  {
    name: 'a result of a kind that does not fit',
    graph: graph([step('s', 'math.split', { input: one }), step('a')], 's>a'),
    reason: 'BAD_GRAPH',
    message: 'list',
  },
  {
    name: 'an argument of a kind that does not fit',
    graph: graph([step('a', 'math.add', { input: textValue('1') })]),
    reason: 'BAD_GRAPH',
    message: 'text',
  },
  {
    name: 'a map over what is no list',
    graph: graph(
      [step('a', 'math.add', { input: one }), map('m', graph([step('x')], '>x'))],
      'a>m',
    ),
    reason: 'BAD_GRAPH',
    message: 'list',
  },
  {
    name: '10,000 steps',
    graph: chain(10_000, 1n),
    reason: 'LIMIT_EXCEEDED',
    message: '10000',
  },
  {
    name: '10,000 steps within maps',
    graph: graph([map('m', chain(10_000, 1n), { input: listValue([one]) })]),
    reason: 'LIMIT_EXCEEDED',
    message: 'max_steps',
  },
  {
    name: 'a join for which one input never comes',
    graph: graph([step('a', 'math.add', { input: one }), step('j', 'math.join')], 'a>j.left'),
    reason: 'BAD_GRAPH',
    message: 'right',
  },
  {
    name: 'a join of two ways of which only one is ever gone',
    graph: graph(
      [step('a', 'math.add', { input: one }), step('n', 'math.note'), step('j', 'math.join')],
      'a>j.left',
      '!a>n',
      'n>j.right',
    ),
    reason: 'BAD_GRAPH',
    message: 'can never begin',
  },
];

suite('a graph that can not be run', (test) => {
  for (const [topologyName, topology] of Object.entries({
    ring: Topology.RING,
    star: Topology.STAR,
  }))
    test(`${topologyName}: is refused before anything begins, with what is wrong`, async () => {
      await using cluster = await Cluster.start(1);
      for (const { name, graph: sent, reason, message } of REFUSED) {
        const begunAt = performance.now();
        const told = await cluster.send(sent, topology).ended.then(
          ({ state, failure }) => {
            assert.is(state, RunState.FAILED, name);
            return { reason: failure?.reason, message: failure?.message ?? '' };
          },
          (error: unknown) => toFractoryError(error),
        );
        assert.is(told.reason, reason, `${name}: ${told.message}`);
        assert.ok(told.message.includes(message), `${name}: ${told.message}`);
        const tookMs = performance.now() - begunAt;
        assert.ok(tookMs < 3000, `${name} took ${String(tookMs)} ms`);
      }
      assert.equal(cluster.workshops.get('math-1')!.events, []);
      await cluster.nothingHeld();
    });

  test(
    'a graph as large as is allowed runs, wide and long',
    async () => {
      await using cluster = await Cluster.start(2);
      const width = 1000;
      const wide = graph(
        [
          ...elements(width).map((value, index) =>
            step(`s${String(index)}`, 'math.add', { input: value }),
          ),
          step('t', 'math.sum'),
        ],
        ...elements(width).map((_, index) => `s${String(index)}>t.input[${String(index)}]`),
      );
      for (const sent of [wide, chain(1024, 1n)]) {
        const { state, failure } = await cluster.send(sent, Topology.RING).ended;
        assert.equal([state, failure?.message], [RunState.SUCCEEDED, undefined]);
      }
      await cluster.nothingHeld();
    },
    { timeoutMs: 30_000 },
  );
});

suite('a continuation that nobody takes', (test) => {
  test('is told to the failure continuation: an owner that is gone, one that never was', async () => {
    await using cluster = await Cluster.start(3);
    const gone = await cluster.root('math-3', 'math.add');
    await cluster.dies('math-3');
    using controller = cluster.controller('math-1');
    const first = await cluster.root('math-1', 'math.add');
    const note = await cluster.root('math-2', 'math.note');
    for (const next of [gone, { ...gone, owner: 'math-99' }]) {
      const { events } = cluster.workshops.get('math-2')!;
      events.length = 0;
      const request = InvokeRequest.fromPartial({
        ...{ capability: first, arguments: [{ name: 'input', value: one }], budgetMs: 5000 },
        ...{ onSuccess: [{ capability: next }], onFailure: [{ capability: note }] },
      });
      await ask<InvokeResponse>((done) => controller.client.invoke(request, done));
      await cluster.happened('noted OWNER_LOST');
      assert.is(events.filter((event) => event.startsWith('noted')).length, 1);
    }
    await cluster.nothingHeld();
  });

  test('a join that a foreign client never fills tells so at the end of its budget', async () => {
    await using cluster = await Cluster.start(2);
    using controller = cluster.controller('math-1');
    const join = narrow(await cluster.root('math-1', 'math.join'), {
      gate: { inputs: ['left', 'right'] },
    });
    const note = await cluster.root('math-2', 'math.note');
    const request = InvokeRequest.fromPartial({
      ...{ capability: join, arguments: [{ name: 'left', value: integerValue(1n) }] },
      ...{ budgetMs: 200, onFailure: [{ capability: note }] },
    });
    await ask<InvokeResponse>((done) => controller.client.invoke(request, done));
    assert.is((await cluster.held('math-1'))['gates'], 1);
    await cluster.happened('noted JOIN_INCOMPLETE');
    await cluster.nothingHeld();
  });
});
