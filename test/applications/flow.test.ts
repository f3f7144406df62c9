import fc from 'fast-check';

import {
  alongside,
  applicationNode,
  cnn,
  join,
  map,
  math,
  onFailure,
  parallel,
  repeat,
  sequence,
  step,
  storage,
  tensorOf,
  withLimits,
} from '../../applications/sdk/index.js';
import type { Bytes, Failed, Flow, List, None } from '../../applications/sdk/index.js';
import type { AnyFlow } from '../../applications/sdk/flow/flow.js';
import { graphOf } from '../../applications/sdk/flow/graph.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import {
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
} from '../../protos/values.js';
import { FractoryError } from '../../runtime/errors.js';
import { orderGraph } from '../../services/application/graph/check.js';
import { assert, suite, throws } from '../suite.js';

/** Takes the list that a map yields. */
const join1 = step<List<Bytes>, Bytes>('x.whole');

const picture = { client: 'a', name: 'x.png' };
const read = storage.read(picture);
const write = storage.write({ client: 'a', name: 'x.json' });
const explain = applicationNode.explain();

/** Edges as text: `from -> to.argument`, with `!` where a failure flows; those of maps in brackets behind their step. */
function edges({ edges: all, steps }: Graph): string[] {
  const inner = steps.flatMap(({ id, map: each }) =>
    each?.graph ? edges(each.graph).map((edge) => `${id}[${edge}]`) : [],
  );
  const own = all.map(
    ({ from, to, argument, onFailure: failed }) =>
      `${from} ${failed ? '!' : ''}-> ${to}${argument === '' ? '' : `.${argument}`}`,
  );
  return [...own, ...inner];
}

function edgesOf(flow: AnyFlow): string[] {
  return edges(graphOf('test', flow));
}

suite('flow', (test) => {
  test('becomes a graph: one step each, an edge between neighbours', () => {
    const graph = graphOf(
      'test',
      sequence(read, cnn.predict({ model: 'shapes', topK: 3n }), write),
    );
    assert.equal(
      graph.steps.map(({ id, operation }) => [id, operation]),
      [
        ['read-1', 'storage.read'],
        ['predict-2', 'cnn.predict'],
        ['write-3', 'storage.write'],
      ],
    );
    assert.equal(graph.edges, [
      { from: 'read-1', to: 'predict-2', argument: '', onFailure: false },
      { from: 'predict-2', to: 'write-3', argument: '', onFailure: false },
    ]);
    assert.equal(graph.steps[1]?.arguments, [
      { name: 'model', value: textValue('shapes') },
      { name: 'top_k', value: integerValue(3n) },
    ]);
  });

  test('plain data becomes values of their kind, and what is undefined is left out', () => {
    const tensor = tensorOf('FP32', [1, 2], [3, 4]);
    const given = { a: 'text', b: 1n, c: 0.5, d: undefined, e: ['x', 2n], f: [tensor] };
    assert.equal(graphOf('test', step('x.y', given)).steps[0]?.arguments, [
      { name: 'a', value: textValue('text') },
      { name: 'b', value: integerValue(1n) },
      { name: 'c', value: numberValue(0.5) },
      { name: 'e', value: listValue([textValue('x'), integerValue(2n)]) },
      { name: 'f', value: listValue([tensorValue(tensor)]) },
    ]);
  });

  test('tensors flow between pictures, models and math', () => {
    const embedded = sequence(read, cnn.embed({ model: 'cats', version: 2 }));
    const graph = graphOf(
      'test',
      sequence(parallel(embedded, embedded), join(['a', 'b'], math.cosine())),
    );
    assert.equal(edges(graph), [
      'read-1 -> embed-2',
      'read-3 -> embed-4',
      'embed-2 -> cosine-5.a',
      'embed-4 -> cosine-5.b',
    ]);
    assert.equal(graph.steps[1]?.arguments, [
      { name: 'model', value: textValue('cats') },
      { name: 'version', value: integerValue(2n) },
    ]);
    assert.equal(edgesOf(sequence(embedded, math.cosine({ b: [1, 2] }))), [
      'read-1 -> embed-2',
      'embed-2 -> cosine-3.a',
    ]);
    const named = (args: object): unknown[] =>
      graphOf('test', step('cnn.infer', { ...args })).steps[0]?.arguments ?? [];
    const input = tensorOf('FP32', [1], [1]);
    const inferred = (flow: AnyFlow): unknown => graphOf('test', flow).steps[0]?.arguments;
    assert.equal(
      inferred(cnn.infer({ model: 'm', input, output: 'y' })),
      named({ input, model: 'm', outputs: 'y' }),
    );
    assert.equal(
      inferred(cnn.infer({ model: 'm', input: [input], inputs: ['x'], outputs: ['y'] })),
      named({ input: [input], model: 'm', inputs: ['x'], outputs: ['y'] }),
    );
  });

  test('an edge may lead to another argument', () => {
    assert.equal(edgesOf(sequence(math.add({ input: 1n, by: 1n }), step('x.y', {}, 'other'))), [
      'add-1 -> y-2.other',
    ]);
  });

  test('a repeated flow is that many steps with ids of their own; zero times is none', () => {
    const add = math.add({ by: 1n });
    assert.equal(
      graphOf('test', repeat(3, add)).steps.map(({ id }) => id),
      ['add-1', 'add-2', 'add-3'],
    );
    assert.equal(edgesOf(sequence(math.factorial({ input: 3n }), repeat(0, add), add)), [
      'factorial-1 -> add-2',
    ]);
  });

  test('parallel flows get the same input, and are the ends of the graph or joined', () => {
    const two = parallel(cnn.predict(), sequence(cnn.inspect(), write));
    assert.equal(edgesOf(sequence(read, two)), [
      'read-1 -> predict-2',
      'read-1 -> inspect-3',
      'inspect-3 -> write-4',
    ]);
    const predictions = parallel(cnn.predict({ model: 'a' }), cnn.predict({ model: 'b' }));
    assert.equal(edgesOf(sequence(read, predictions, join(math.blend()), write)), [
      'read-1 -> predict-2',
      'read-1 -> predict-3',
      'predict-2 -> blend-4.input[0]',
      'predict-3 -> blend-4.input[1]',
      'blend-4 -> write-5',
    ]);
  });

  test('a join by name leads the flows into arguments, in their order', () => {
    const numbers = parallel(math.factorial({ input: 3n }), math.factorial({ input: 4n }));
    assert.equal(edgesOf(sequence(numbers, join(['by', 'input'], math.multiply()))), [
      'factorial-1 -> multiply-3.by',
      'factorial-2 -> multiply-3',
    ]);
  });

  test('what flows in can flow on beside what is made of it', () => {
    const names = storage.list({ as: 'names' });
    const columns = alongside(map(storage.read({ client: 'a' })));
    assert.equal(
      edgesOf(sequence(names, columns, join(applicationNode.rows({ columns: ['a'] })))),
      [
        'list-1 -> map-2',
        'list-1 -> rows-4.input[0]',
        'map-2 -> rows-4.input[1]',
        'map-2[ -> read-3.name]',
      ],
    );
  });

  test('each step that may fail leads to the handler; both go on to what follows', () => {
    assert.equal(edgesOf(sequence(onFailure(sequence(read, cnn.predict()), explain), write)), [
      'read-1 -> predict-2',
      'read-1 !-> explain-3',
      'predict-2 !-> explain-3',
      'predict-2 -> write-4',
      'explain-3 -> write-4',
    ]);
  });

  test('a step keeps the handler that is nearest to it', () => {
    const inner = onFailure(storage.read({ ...picture, as: 'json' }), explain);
    assert.equal(edgesOf(onFailure(sequence(inner, write), explain)), [
      'read-1 !-> explain-2',
      'read-1 -> write-3',
      'explain-2 -> write-3',
      'explain-2 !-> explain-4',
      'write-3 !-> explain-4',
    ]);
  });

  test('a map is one step with a graph of its own, in which "" is the element', () => {
    const each = onFailure(sequence(storage.read({ client: 'a' }), cnn.predict()), explain);
    const graph = graphOf(
      'test',
      sequence(storage.list({ as: 'names' }), map(each, { parallelism: 3 })),
    );
    assert.equal(edges(graph), [
      'list-1 -> map-2',
      'map-2[ -> read-3.name]',
      'map-2[read-3 -> predict-4]',
      'map-2[read-3 !-> explain-5]',
      'map-2[predict-4 !-> explain-5]',
    ]);
    assert.equal([graph.steps[1]?.operation, graph.steps[1]?.map?.parallelism], ['', 3]);
  });

  test('a list that is known before the run is an argument of its map', () => {
    const graph = graphOf('test', map(math.factorial(), { elements: [1n, 2n] }));
    assert.equal(graph.steps[0]?.arguments, [
      { name: 'input', value: listValue([integerValue(1n), integerValue(2n)]) },
    ]);
    assert.equal(edges(graph), ['map-1[ -> factorial-2]']);
  });

  test('limits are on each step, also inside of maps, and the nearest counts', () => {
    const near = withLimits(math.factorial(), { timeoutMs: 5 });
    const flow = sequence(math.split({ input: 2n, parts: 2n }), map(near), math.sum());
    const { steps } = graphOf('test', withLimits(flow, { timeoutMs: 9, retries: 1 }));
    const inner = steps[1]?.map?.graph?.steps ?? [];
    assert.equal(
      [...steps, ...inner].map(({ id, timeoutMs, retries }) => [id, timeoutMs, retries]),
      [
        ['split-1', 9, 1],
        ['map-2', 0, 0],
        ['sum-4', 9, 1],
        ['factorial-3', 5, 1],
      ],
    );
  });

  test('an integer may be a number that is whole and exact, nothing else', () => {
    assert.equal(
      graphOf('test', math.add({ input: 2 ** 53 - 1, by: -5 })),
      graphOf('test', math.add({ input: 2n ** 53n - 1n, by: -5n })),
    );
    for (const by of [0.5, 2 ** 53, NaN]) {
      const bad = () => math.add({ by });
      const { message } = throws(bad, FractoryError, { reason: 'BAD_FLOW' });
      assert.match(message, /write 5n/);
    }
  });

  test('limits that are none are refused where they are written', () => {
    const refused = (make: () => unknown): string =>
      throws(make, FractoryError, { reason: 'BAD_FLOW' }).message;
    assert.is(
      refused(() => withLimits(read, { timeoutMs: -5 })),
      'flow: timeoutMs: expected a whole number, 1 or more, found -5',
    );
    assert.match(
      refused(() => withLimits(read, { timeoutMs: 0.5 })),
      /found 0.5/,
    );
    assert.match(
      refused(() => withLimits(read, { retries: -1 })),
      /retries: .* 0 or more/,
    );
    assert.match(
      refused(() => map(math.factorial(), { parallelism: NaN })),
      /parallelism.*NaN/,
    );
    withLimits(read, { timeoutMs: 1, retries: 0 });
  });

  test('what the compiler can not tell is refused with what to do', () => {
    const bad = (flow: unknown): string =>
      throws(() => graphOf('test', flow as AnyFlow), FractoryError, { reason: 'BAD_FLOW' }).message;
    const both = parallel(cnn.predict(), cnn.inspect());
    assert.match(bad(sequence(read, parallel(both, cnn.predict()))), /parallel must be joined/);
    assert.match(bad(sequence(read, parallel(cnn.predict()))), /two flows or more/);
    assert.match(
      bad(sequence(read, alongside(cnn.predict()))),
      /must come from a last step, not from read-1/,
    );
    assert.match(
      bad(map(repeat(0, math.add({ by: 1n })), { elements: [1n] })),
      /not from the element/,
    );
    assert.match(bad(repeat(0, math.add({ by: 1n }))), /at least one step/);
    assert.match(bad(onFailure(sequence(read, both), explain)), /yield one value each/);
    const wrong = [read, both, write] as unknown as Parameters<typeof sequence>;
    assert.match(bad(sequence(...wrong)), /several values flow into write-4/);
    assert.match(bad(join(math.sum())), /join needs the flows of parallel/);
  });

  test('whatever is built of its parts is a graph that an application node takes', () => {
    const { flow } = fc.letrec<{ flow: Flow<None, Bytes> }>((tie) => {
      const inner = tie('flow');
      // Of kinds the check of form knows nothing, so that any flow may follow any other here.
      const after = inner as unknown as fc.Arbitrary<Flow<Bytes, Bytes>>;
      const handler = inner as unknown as fc.Arbitrary<Flow<Failed, Bytes>>;
      const sum = join(step<List<Bytes>, Bytes>('x.join'));
      return {
        flow: fc.oneof(
          { maxDepth: 5, depthSize: 'small' },
          fc.constant(step<None, Bytes>('x.step')),
          fc.tuple(inner, after).map(([first, second]) => sequence(first, second)),
          fc.tuple(inner, inner).map((branches) => sequence(parallel(...branches), sum)),
          fc.tuple(inner, after).map(([first, second]) => sequence(first, alongside(second), sum)),
          fc.tuple(inner, handler).map(([first, second]) => onFailure(first, second)),
          fc
            .tuple(inner, after)
            .map(([first, each]) =>
              sequence(sequence(first, step<Bytes, List<Bytes>>('x.list')), map(each), join1),
            ),
        ),
      };
    });
    fc.assert(
      fc.property(flow, (built) => {
        const { ends } = orderGraph(graphOf('test', built), 10_000);
        assert.is(ends, 1);
      }),
      { numRuns: 300 },
    );
  });
});
