import { countToRemove } from '../../../../services/application/journal/retention.js';
import { assert, suite } from '../../../suite.js';

const limits = { most: 2, leastMs: 60, longestMs: 1000 };

/** How many of runs that ended so long ago are removed. */
function removed(...agesMs: readonly number[]): number {
  const ended = agesMs.map((ageMs, index) => ({
    ...{ run: String(index), version: 1n, atMs: 5000 - ageMs },
  }));
  return countToRemove(ended, 5000, limits);
}

suite('retention of ended runs', (test) => {
  test('keeps the last ones', () => {
    assert.equal([removed(), removed(100), removed(200, 100)], [0, 0, 0]);
  });

  test('beyond the limit the oldest go', () => {
    assert.equal([removed(300, 200, 100), removed(400, 300, 200, 100)], [1, 2]);
  });

  test('none goes that ended just now, however many there are', () => {
    assert.equal([removed(50, 40, 30, 20), removed(100, 40, 30, 20)], [0, 1]);
  });

  test('none stays that is very old', () => {
    assert.equal([removed(1500), removed(1500, 1200, 900)], [1, 2]);
  });
});
