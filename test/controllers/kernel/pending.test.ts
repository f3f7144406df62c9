import { Pending } from '../../../controllers/kernel/pending.js';
import { assert, suite } from '../../suite.js';

suite('what waits for an answer', (test) => {
  test('is found by its number, once, whatever the order of the answers', () => {
    const pending = new Pending<string>();
    const numbers = ['a', 'b', 'c', 'd'].map((entry) => pending.add(entry));
    assert.equal(numbers, [1, 2, 3, 4]);
    assert.equal(
      [3, 1, 3, 4, 2, 1].map((number) => pending.take(number)),
      ['c', 'a', undefined, 'd', 'b', undefined],
    );
    assert.is(pending.size, 0);
  });

  test('is not found by numbers that never were', () => {
    const pending = new Pending<string>();
    pending.add('a');
    for (const number of [0, -1, 2, 1.5, Number.NaN, 2 ** 53])
      assert.is(pending.take(number), undefined);
    assert.is(pending.size, 1);
  });

  test('comes out in its order when all is taken, and numbers go on', () => {
    const pending = new Pending<string>();
    for (const entry of ['a', 'b', 'c']) pending.add(entry);
    pending.take(2);
    assert.equal(pending.takeAll(), ['a', 'c']);
    assert.is(pending.take(1), undefined);
    assert.is(pending.add('d'), 4);
    assert.is(pending.take(4), 'd');
  });

  test('agrees with a map over 100,000 random steps', () => {
    const pending = new Pending<number>();
    const model = new Map<number, number>();
    let state = 12345;
    const random = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state % below;
    };
    for (let step = 0; step < 100_000; step++) {
      if (random(100) < 52) model.set(pending.add(step), step);
      else {
        const numbers = [...model.keys()].slice(0, 3);
        const number = numbers[random(3)] ?? 7;
        assert.is(pending.take(number), model.get(number));
        model.delete(number);
      }
      assert.is(pending.size, model.size);
    }
  });
});
