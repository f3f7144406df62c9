import { seededRandom, weighted, wholeBetween } from '../../runtime/seeded-random.js';
import { assert, suite } from '../suite.js';

const DRAWS = 10_000;

function drawn<T>(draw: () => T, count = DRAWS): T[] {
  return Array.from({ length: count }, draw);
}

suite('seeded random', (test) => {
  test('draws the same numbers for the same seed and others for another', () => {
    const first = drawn(seededRandom(7), 20);
    assert.equal(drawn(seededRandom(7), 20), first);
    assert.not.equal(drawn(seededRandom(8), 20), first);
  });

  test('keeps its numbers from one version to the next, so that a printed seed stays good', () => {
    const random = seededRandom(1);
    assert.equal(
      drawn(() => Math.floor(random() * 1000), 5),
      [627, 2, 527, 981, 968],
    );
  });

  test('draws from 0 to 1, 1 excluded, all tenths alike', () => {
    const tenths = new Array<number>(10).fill(0);
    for (const number of drawn(seededRandom(3))) tenths[Math.floor(number * 10)]!++;
    assert.is(tenths.length, 10);
    assert.ok(tenths.every((count) => Math.abs(count - DRAWS / 10) < 0.1 * (DRAWS / 10)));
  });

  test('draws whole numbers between two, both included', () => {
    const random = seededRandom(4);
    const numbers = new Set(drawn(() => wholeBetween(random, -1, 2)));
    assert.equal(
      [...numbers].sort((one, other) => one - other),
      [-1, 0, 1, 2],
    );
  });

  test('chooses by weight, and nothing where nothing has one', () => {
    const random = seededRandom(5);
    const chosen = drawn(() =>
      weighted(random, [
        ['often', 3],
        ['never', 0],
        ['seldom', 1],
      ]),
    );
    const share = chosen.filter((one) => one === 'often').length / DRAWS;
    assert.ok(Math.abs(share - 0.75) < 0.02);
    assert.not.ok(chosen.includes('never'));
    assert.is(weighted(random, [['never', 0]]), undefined);
    assert.is(weighted(random, []), undefined);
  });
});
