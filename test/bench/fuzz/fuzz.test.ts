import { Campaign } from '../../../bench/fuzz/campaign.js';
import { FuzzedDataCenter } from '../../../bench/fuzz/fuzzed-data-center.js';
import { HostileMessages } from '../../../bench/fuzz/hostile-message.js';
import { Schema } from '../../../bench/fuzz/schema.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

const SEED = 20_261_121;

suite('fuzzer', (test) => {
  test(
    'finds nothing in a few seconds, and those who mean well are served meanwhile',
    async () => {
      await using center = await FuzzedDataCenter.start([
        'application',
        'block',
        'math',
        'storage',
      ]);
      const campaign = new Campaign(center, {
        ...{ seed: SEED, forMs: 4000, rounds: 2, restMs: 800 },
        ...{ callers: 12, attackMs: 200, connections: 200 },
        say: (line) => {
          console.log(`  ${line}`);
        },
      });
      const report = await campaign.run();
      const found = report.findings.map(({ fault, first }) => ({ fault, seed: first?.seed }));
      assert.equal(found, [], `seed ${String(SEED)}`);
      assert.ok(report.calls > 50, `${String(report.calls)} calls`);
      for (const { id, calls } of report.services) assert.ok(calls > 5, `${id} was asked`);
    },
    { timeoutMs: 60_000 },
  );

  test('makes the same message of the same seed', () => {
    const type = new Schema().message('fractory.v1.RunRequest');
    const made = (): Buffer[] => {
      const maker = new HostileMessages(seededRandom(SEED), [Buffer.from([10, 1, 65])]);
      return Array.from({ length: 50 }, () => maker.of(type));
    };
    assert.equal(made(), made());
  });
});
