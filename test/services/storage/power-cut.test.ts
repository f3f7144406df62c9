import { chain } from '../../power-cut/chain.js';
import { assert, rejects, suite } from '../../suite.js';
import { layeredKeeper, storeKeeper } from './store-life.js';

const SEED = Number(process.env['FRACTORY_TEST_SEED'] ?? 1);
const ENDS = 10;

suite('a store whose machine loses its power', (test) => {
  for (const [where, keeper, seeds] of [
    ['in its folder', storeKeeper, 4],
    ['on a block device', layeredKeeper, 1],
  ] as const)
    test(
      `with content ${where} has all that was acknowledged or read, and of the rest whole files or none`,
      async () => {
        let tried = 0;
        for (let seed = SEED; seed < SEED + seeds; seed++)
          tried += await chain(keeper, { seed, lives: 3, ends: ENDS });
        assert.is(tried, seeds * 3 * ENDS);
      },
      { timeoutMs: 120_000 },
    );

  for (const [what, isFolder] of [
    ['folders', true],
    ['files', false],
  ] as const)
    test(
      `is caught if it does not sync ${what}`,
      async () => {
        const pretends = (node: { readonly isFolder: boolean }): boolean =>
          node.isFolder === isFolder;
        const lying = (async () => {
          for (let seed = SEED; seed < SEED + 20; seed++)
            await chain(storeKeeper, { seed, lives: 2, ends: ENDS, pretends });
        })();
        const error = await rejects(lying, Error);
        assert.match(error.message, /power cut/);
      },
      { timeoutMs: 120_000 },
    );
});
