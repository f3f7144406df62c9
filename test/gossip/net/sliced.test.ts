import { Slices } from '../../../gossip/net/sliced.js';
import { assert, suite } from '../../suite.js';

const STEPS = 20;
const STEP_MS = 1;

/** Computes for longer than a slice in each step, and says how many turns of the event loop others have had then. */
function* steps(turns: () => number): Generator<undefined, number[]> {
  const seen: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const startedMs = performance.now();
    while (performance.now() - startedMs < STEP_MS);
    seen.push(turns());
    yield undefined;
  }
  return seen;
}

suite('slices of long work', (test) => {
  test('others have a turn between any two, whoever shares them, and those who do go on alike', async () => {
    let turns = 0;
    let isOver = false;
    const next = (): void => {
      turns++;
      if (!isOver) setImmediate(next);
    };
    setImmediate(next);
    const slices = new Slices();
    const works = [1, 2, 3].map(() => slices.run(steps(() => turns)));
    const seen = await Promise.all(works);
    isOver = true;
    const all = seen.flat();
    assert.is(all.length, 3 * STEPS);
    assert.is(new Set(all).size, all.length, 'two steps of a slice each in one turn');
    for (let step = 0; step < STEPS; step++) {
      const at = seen.map((one) => one[step] ?? 0);
      assert.ok(Math.max(...at) - Math.min(...at) <= 4, at.join(', '));
    }
  });
});
