import { closest, editDistance } from '../../runtime/suggestion.js';
import { assert, suite } from '../suite.js';

suite('suggestions', (test) => {
  const distances: readonly (readonly [string, string, number])[] = [
    ['', 'abc', 3],
    ['status', 'status', 0],
    ['stauts', 'status', 1],
    ['kitten', 'sitting', 3],
    ['servers', 'severs', 1],
  ];
  for (const [a, b, distance] of distances)
    test(`${a || '(nothing)'} is ${String(distance)} away from ${b}`, () => {
      assert.is(editDistance(a, b), distance);
    });

  test('the nearest candidate is found whatever its case', () => {
    assert.is(closest('zookeper', ['Security', 'ZooKeeper']), 'ZooKeeper');
  });

  test('what is too far from everything gets no suggestion', () => {
    assert.is(closest('foo', ['application', 'storage']), undefined);
  });
});
