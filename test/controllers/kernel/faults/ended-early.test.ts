import { Topology } from '../../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../../protos/gen/fractory/v1/graph.js';
import { listValue, toPlain } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { graph, map, one, step } from '../../../services/application/graphs.js';
import { Cluster, RunState } from './cluster.js';
import { elements, KEPT_BYTES } from './workshop.js';

interface Situation {
  readonly name: string;
  readonly graph: Graph;
  /** Resolves, with the member that matters, when the run is where it is to be ended. */
  readonly arrived: (cluster: Cluster, topology: Topology) => Promise<string>;
  /** What has to happen on a workshop after the end. */
  readonly then: readonly string[];
  /** What comes of it where nothing is stuck. */
  readonly result: unknown;
}

const hanging = graph([step('w', 'math.hang', { input: one })]);

const SITUATIONS: readonly Situation[] = [
  {
    name: 'a step runs',
    graph: hanging,
    arrived: (cluster) => cluster.happened('begun w'),
    then: ['aborted w'],
    result: '1',
  },
  {
    name: 'a map runs',
    graph: graph(
      [
        step('s', 'math.split', { input: one }),
        map('m', graph([step('w', 'math.hang')], '>w')),
        step('t', 'math.sum'),
      ],
      's>m',
      'm>t',
    ),
    arrived: async (cluster, topology) => {
      await cluster.happened('begun w[0]');
      return topology === Topology.STAR ? cluster.happened('begun w[0]') : cluster.holds('maps');
    },
    then: ['aborted w[0]'],
    result: '0',
  },
  {
    name: 'a map that nothing leads to runs',
    graph: graph([
      map('m', graph([step('w', 'math.hang'), step('x')], '>w', 'w>x'), {
        input: listValue(elements(3)),
      }),
    ]),
    arrived: (cluster) => cluster.happened('begun w[2]'),
    then: ['aborted w[0]', 'aborted w[1]', 'aborted w[2]'],
    result: ['1', '2', '3'],
  },
  {
    name: 'a map within a map runs',
    graph: graph([
      map(
        'm',
        graph(
          [step('s', 'math.split'), map('n', graph([step('w', 'math.hang')], '>w'))],
          '>s',
          's>n',
        ),
        {
          input: listValue([one, one]),
        },
      ),
    ]),
    arrived: async (cluster) => {
      await cluster.happened('begun w[0][0]');
      return cluster.happened('begun w[1][0]');
    },
    then: ['aborted w[0][0]', 'aborted w[1][0]'],
    result: [['0'], ['0']],
  },
  {
    name: 'a gate waits',
    graph: graph(
      [
        step('w', 'math.hang', { input: one }),
        step('a', 'math.add', { input: one }),
        step('j', 'math.join'),
      ],
      'w>j.left',
      'a>j.right',
    ),
    arrived: async (cluster, topology) => {
      await cluster.happened('begun w');
      return topology === Topology.STAR ? cluster.happened('begun w') : cluster.holds('gates');
    },
    then: ['aborted w'],
    result: '3',
  },
  {
    name: 'an argument is pulled',
    graph: graph([step('k', 'math.kept', { input: one }), step('l', 'math.length')], 'k>l'),
    arrived: (cluster) => cluster.happened('reading k'),
    then: ['cut k', 'disposed k'],
    result: String(KEPT_BYTES),
  },
  {
    name: 'an argument is read as a stream',
    graph: graph([step('k', 'math.kept', { input: one }), step('l', 'math.measure')], 'k>l'),
    arrived: (cluster) => cluster.happened('reading k'),
    then: ['cut k', 'disposed k'],
    result: String(KEPT_BYTES),
  },
  {
    name: 'the result is fetched',
    graph: graph([step('k', 'math.kept', { input: one })]),
    arrived: (cluster) => cluster.happened('reading k'),
    then: ['cut k', 'disposed k'],
    result: undefined,
  },
  {
    name: 'a step waits to be tried again',
    graph: graph([step('w', 'math.away', { input: one }, { retries: 100 })]),
    arrived: (cluster) => cluster.happened('begun w'),
    then: [],
    result: '1',
  },
];

for (const [name, topology] of Object.entries({ ring: Topology.RING, star: Topology.STAR }))
  suite(`a ${name} that ends early`, (test) => {
    for (const situation of SITUATIONS) {
      test(`leaves nothing when it is cancelled while ${situation.name}`, async () => {
        await using cluster = await Cluster.start();
        cluster.isStuck = true;
        const run = cluster.send(situation.graph, topology);
        await situation.arrived(cluster, topology);
        assert.is(await cluster.cancel(run), RunState.CANCELLED);
        const { state, failure } = await run.ended;
        assert.equal([state, failure?.reason], [RunState.CANCELLED, 'CANCELLED']);
        for (const event of situation.then) await cluster.happened(event);
        await cluster.nothingHeld();
      });

      test(`leaves nothing when its time is up while ${situation.name}`, async () => {
        await using cluster = await Cluster.start();
        cluster.isStuck = true;
        const begunAt = performance.now();
        const run = cluster.send(situation.graph, topology, 300);
        await situation.arrived(cluster, topology);
        const { state } = await run.ended;
        const tookMs = performance.now() - begunAt;
        assert.is(state, RunState.TIMED_OUT);
        assert.ok(tookMs < 1300, `${String(tookMs)} ms instead of 300`);
        for (const event of situation.then) await cluster.happened(event);
        await cluster.nothingHeld();
      });

      test(`goes on elsewhere when a member dies while ${situation.name}`, async () => {
        await using cluster = await Cluster.start();
        cluster.isStuck = true;
        const run = cluster.send(situation.graph, topology);
        const member = await situation.arrived(cluster, topology);
        cluster.isStuck = false;
        await cluster.dies(member);
        const { state, result, attempts, failure } = await run.ended;
        assert.equal([state, failure?.reason], [RunState.SUCCEEDED, undefined]);
        assert.ok(attempts >= 2, `${String(attempts)} attempts`);
        if (situation.result !== undefined) assert.equal(toPlain(result), situation.result);
        await cluster.nothingHeld();
      });
    }
  });
