import { inspect } from 'node:util';

import { seededRandom } from '../../runtime/seeded-random.js';
import { StorageMembers } from '../controllers/storage/storage-members.js';
import { assert, suite } from '../suite.js';
import { checkLinearizable } from './checker.js';
import { ObservedFiles } from './observed-files.js';
import { versionedFile } from './versioned-file.js';

const SESSION_TIMEOUT_MS = 1000;
const CLIENTS = 6;
const NAMES = ['a', 'b', 'c', 'd'];
/** Answers between two faults. */
const CALLS = 40;

suite('files under faults', (test) => {
  test(
    'each name is linearizable while leaders are killed, frozen and thawed, and clients go on',
    async () => {
      await using members = await StorageMembers.start({
        ...{ members: 3, sessionTimeoutMs: SESSION_TIMEOUT_MS },
      });
      using files = new ObservedFiles(members, NAMES, seededRandom(7));
      const working = files.work(CLIENTS);
      for (const fault of ['kill', 'freeze', 'kill']) {
        await files.moreAnswers(CALLS);
        const leader = members.leader;
        assert.ok(leader);
        if (fault === 'kill') await members.kill(leader.id);
        else members.freeze(leader.id);
        await members.when(() => {
          const next = members.leader;
          return next !== undefined && next.epoch !== leader.epoch;
        });
        await files.moreAnswers(CALLS);
        if (fault === 'kill') await members.launch(leader.id);
        else members.thaw(leader.id);
      }
      await files.moreAnswers(CALLS);
      files.end();
      await working;
      for (const [name, history] of files.histories) {
        const verdict = checkLinearizable(history, versionedFile);
        const stuck = verdict.isLinearizable ? [] : [verdict.longest.slice(-5), verdict.stuck];
        assert.ok(verdict.isLinearizable, `${name}: ${inspect(stuck, { depth: 5 })}`);
      }
    },
    { timeoutMs: 120_000 },
  );
});
