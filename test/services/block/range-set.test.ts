import fc from 'fast-check';

import { RangeSet } from '../../../services/block/range-set.js';
import { assert, suite, throws } from '../../suite.js';

const BLOCKS = 40;

function rangesOf(blocks: ReadonlySet<number>) {
  const ranges: { start: number; count: number }[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    if (!blocks.has(block)) continue;
    const last = ranges.at(-1);
    if (last && last.start + last.count === block) last.count++;
    else ranges.push({ start: block, count: 1 });
  }
  return ranges;
}

suite('range set', (test) => {
  test('it is the set of its blocks, in order and joined, whatever is added, removed and taken', () => {
    const range = fc.record({ start: fc.nat(BLOCKS - 1), count: fc.integer({ min: 1, max: 9 }) });
    const step = fc.record({ act: fc.constantFrom('add', 'remove', 'take'), range });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new Set<number>();
        const set = new RangeSet();
        for (const { act, range: given } of steps) {
          const { start } = given;
          const count = Math.min(given.count, BLOCKS - start);
          const blocks = Array.from({ length: count }, (_, index) => start + index);
          const held = blocks.filter((block) => model.has(block)).length;
          assert.is(set.has({ start, count }), held === count);
          if (act === 'take') {
            const taken = set
              .take(count)
              .flatMap((one) => Array.from({ length: one.count }, (_, index) => one.start + index));
            assert.is(taken.length, Math.min(count, model.size));
            for (const block of taken) assert.ok(model.delete(block));
          } else if (act === 'add') {
            if (held > 0)
              throws(() => {
                set.add({ start, count });
              }, Error);
            else {
              set.add({ start, count });
              for (const block of blocks) model.add(block);
            }
          } else if (held < count)
            throws(() => {
              set.remove({ start, count });
            }, Error);
          else {
            set.remove({ start, count });
            for (const block of blocks) model.delete(block);
          }
          assert.equal([...set.ranges], rangesOf(model));
          assert.is(set.count, model.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the smallest range that has all is taken, else the largest first', () => {
    const ranges = [
      { start: 0, count: 3 },
      { start: 10, count: 8 },
      { start: 30, count: 5 },
    ];
    assert.equal(new RangeSet(ranges).take(4), [{ start: 30, count: 4 }]);
    assert.equal(new RangeSet(ranges).take(10), [
      { start: 10, count: 8 },
      { start: 0, count: 2 },
    ]);
  });
});
