import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';
import { temporaryFolder } from './fixture.js';
import { KillRounds } from './kill-rounds.js';

const PROCESSES = 2;
const KILLS = 8;

suite('writers that are killed', (test) => {
  test(
    'at random moments, two at work on one folder with many writes each, leave all that was acknowledged and nothing torn',
    async () => {
      await using folder = await temporaryFolder();
      const rounds = new KillRounds(folder.path, seededRandom(11));
      await rounds.run(PROCESSES, KILLS);
      const { acknowledged, lost, torn } = rounds.files.counts;
      const { kills } = rounds;
      assert.equal({ kills, lost, torn }, { kills: PROCESSES * KILLS, lost: 0, torn: 0 });
      assert.ok(acknowledged > 0);
    },
    { timeoutMs: 60_000 },
  );
});
