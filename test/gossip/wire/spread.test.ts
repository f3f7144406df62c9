import { spread } from '../../../gossip/wire/spread.js';
import { assert, suite } from '../../suite.js';

suite('spread', (test) => {
  test('all come, each once, however many', () => {
    for (let length = 0; length < 200; length++) {
      const items = Array.from({ length }, (_, at) => at);
      const all = [...spread(items)];
      assert.equal(
        all.sort((a, b) => a - b),
        items,
      );
    }
  });

  test('the first few come from everywhere', () => {
    for (const length of [1000, 1024, 9999]) {
      const first = [...spread(Array.from({ length }, (_, at) => at))].slice(0, 100);
      const tenths = new Set(first.map((at) => Math.floor((10 * at) / length)));
      assert.is(tenths.size, 10);
    }
  });
});
