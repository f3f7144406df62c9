import { cnn, math, repeat, sequence, step, storage } from '../../applications/sdk/index.js';
import { graphOf } from '../../applications/sdk/flow.js';
import { integerValue, numberValue, textValue } from '../../protos/values.js';
import { assert, suite } from '../suite.js';

suite('flow', (test) => {
  test('becomes a graph: one step each, an edge between neighbours', () => {
    const graph = graphOf(
      'test',
      sequence(
        storage.read({ client: 'a', name: 'x.png' }),
        cnn.predict({ model: 'shapes', topK: 3n }),
        storage.write({ client: 'a', name: 'x.json' }),
      ),
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
      { from: 'read-1', to: 'predict-2', argument: '' },
      { from: 'predict-2', to: 'write-3', argument: '' },
    ]);
    assert.equal(graph.steps[1]?.arguments, [
      { name: 'model', value: textValue('shapes') },
      { name: 'top_k', value: integerValue(3n) },
    ]);
  });

  test('plain data becomes values of their kind, and what is undefined is left out', () => {
    const graph = graphOf('test', step('x.y', { a: 'text', b: 1n, c: 0.5, d: undefined }));
    assert.equal(graph.steps[0]?.arguments, [
      { name: 'a', value: textValue('text') },
      { name: 'b', value: integerValue(1n) },
      { name: 'c', value: numberValue(0.5) },
    ]);
  });

  test('an edge may lead to another argument', () => {
    const graph = graphOf(
      'test',
      sequence(math.add({ input: 1n, by: 1n }), step('x.y', {}, 'other')),
    );
    assert.equal(graph.edges, [{ from: 'add-1', to: 'y-2', argument: 'other' }]);
  });

  test('a repeated flow is that many steps with ids of their own; zero times is none', () => {
    const add = math.add({ by: 1n });
    assert.equal(
      graphOf('test', repeat(3, add)).steps.map(({ id }) => id),
      ['add-1', 'add-2', 'add-3'],
    );
    const graph = graphOf('test', sequence(math.factorial({ input: 3n }), repeat(0, add), add));
    assert.equal(graph.edges, [{ from: 'factorial-1', to: 'add-2', argument: '' }]);
  });
});
