import { chain } from '../../power-cut/chain.js';
import { assert, rejects, suite } from '../../suite.js';
import { deviceKeeper } from './device-life.js';

const SEED = Number(process.env['FRACTORY_TEST_SEED'] ?? 1);
const SEEDS = 6;
const ENDS = 12;

suite('a block device whose machine loses its power', (test) => {
  test(
    'has all extents that were told to be durable, with their content, and free blocks that are zero',
    async () => {
      let tried = 0;
      for (let seed = SEED; seed < SEED + SEEDS; seed++)
        tried += await chain(deviceKeeper, { seed, lives: 3, ends: ENDS });
      assert.is(tried, SEEDS * 3 * ENDS);
    },
    { timeoutMs: 60_000 },
  );

  test(
    'is caught if it does not sync',
    async () => {
      const lying = (async () => {
        for (let seed = SEED; seed < SEED + 20; seed++)
          await chain(deviceKeeper, { seed, lives: 2, ends: ENDS, pretends: () => true });
      })();
      const error = await rejects(lying, Error);
      assert.match(error.message, /power cut/);
    },
    { timeoutMs: 60_000 },
  );
});
