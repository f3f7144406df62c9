import { Topology } from '../../../../protos/gen/fractory/v1/application.js';
import { integerValue, listValue } from '../../../../protos/values.js';
import type { Graph } from '../../../../protos/gen/fractory/v1/graph.js';
import { assert, suite } from '../../../suite.js';
import { graph, map, one, step } from '../../../services/application/graphs.js';
import { Cluster, RunState } from './cluster.js';
import { elements } from './workshop.js';

const RUNS = 2000;
/** Every so many runs one is cancelled and one runs out of time: those take longer than others. */
const EARLY_EVERY = 40;

/** Memory, join, map, failure and handler, in turn. */
const MIX: readonly { readonly graph: Graph; readonly state: RunState }[] = [
  {
    graph: graph([step('k', 'math.kept', { input: one }), step('l', 'math.measure')], 'k>l'),
    state: RunState.SUCCEEDED,
  },
  {
    graph: graph(
      [
        step('a', 'math.add', { input: one }),
        step('b', 'math.add', { input: one }),
        step('j', 'math.join'),
      ],
      'a>j.left',
      'b>j.right',
    ),
    state: RunState.SUCCEEDED,
  },
  {
    graph: graph(
      [
        step('s', 'math.split', { input: integerValue(5n) }),
        map('m', graph([step('x'), step('y')], '>x', 'x>y')),
        step('t', 'math.sum'),
      ],
      's>m',
      'm>t',
    ),
    state: RunState.SUCCEEDED,
  },
  {
    graph: graph(
      [
        step('b', 'math.broken', { input: one }),
        step('n', 'math.note'),
        step('k', 'math.kept', { input: one }),
        step('l', 'math.length'),
      ],
      'b>n',
      '!b>n',
      'k>l',
    ),
    state: RunState.SUCCEEDED,
  },
  {
    graph: graph(
      [
        step('k', 'math.kept', { input: one }),
        step('l', 'math.length'),
        step('b', 'math.broken'),
        map('m', graph([step('x')], '>x'), { input: listValue(elements(3)) }),
      ],
      'k>l',
      'l>b',
    ),
    state: RunState.FAILED,
  },
];

const early = graph(
  [
    step('w', 'math.hang', { input: one }),
    step('a', 'math.add', { input: one }),
    step('j', 'math.join'),
  ],
  'w>j.left',
  'a>j.right',
);

suite('2,000 runs one after another', (test) => {
  test(
    'leave every table of every node empty',
    async () => {
      await using cluster = await Cluster.start(2);
      cluster.isStuck = true;
      for (const workshop of cluster.workshops.values()) {
        workshop.isSticky = false;
        workshop.keptBytes = 100_000;
      }
      for (let count = 0; count < RUNS; count++) {
        const topology = count % 3 === 2 ? Topology.STAR : Topology.RING;
        if (count % EARLY_EVERY === 0) {
          const run = cluster.send(early, topology, count % (2 * EARLY_EVERY) === 0 ? 8000 : 20);
          if (count % (2 * EARLY_EVERY) === 0) await cluster.cancel(run);
          const { state } = await run.ended;
          assert.ok(state === RunState.CANCELLED || state === RunState.TIMED_OUT);
          continue;
        }
        const { graph: sent, state } = MIX[count % MIX.length]!;
        const ended = await cluster.send(sent, topology).ended;
        assert.is(ended.state, state, ended.failure?.message);
      }
      await cluster.nothingHeld();
    },
    { timeoutMs: 60_000 },
  );
});
