import { RunState, Topology } from '../../../../protos/gen/fractory/v1/application.js';
import type { RunEnded } from '../../../../protos/gen/fractory/v1/application.js';
import { JournalRecord } from '../../../../protos/gen/fractory/v1/journal.js';
import { FractoryError } from '../../../../runtime/errors.js';
import {
  attemptBase,
  endedRecord,
  openRecord,
  optionsOf,
  outOfTime,
  pinnedRecord,
  takenUp,
} from '../../../../services/application/journal/journal-entry.js';
import { assert, suite, throws } from '../../../suite.js';
import { chain } from '../graphs.js';

const options = {
  ...{ id: 'r', graph: chain(2, 1n), topology: Topology.STAR, budgetMs: 1000 },
  ...{ startedAtMs: 50_000, durable: true },
};
const first = { member: 'application-1', epoch: 5n };
const second = { member: 'application-2', epoch: 9n };

suite('journal entry', (test) => {
  test('a run is the same after it was written and read', () => {
    const record = openRecord(options, first, 'trace');
    const read = JournalRecord.decode(JournalRecord.encode(record).finish());
    assert.equal(read, record);
    assert.equal(optionsOf(read), { ...options, deadlineMs: 51_000 });
  });

  test('each owner has attempts above those of all before, and the same deadline', () => {
    let record = openRecord(options, first, '');
    assert.equal([attemptBase(record), record.attempts], [0, 0]);
    let base = 0;
    for (const owner of [second, { member: 'application-1', epoch: 12n }]) {
      record = takenUp(record, owner);
      assert.ok(attemptBase(record) > base + 100_000);
      base = attemptBase(record);
      assert.equal(
        [record.member, record.epoch, record.deadlineMs],
        [...[owner.member, owner.epoch, 51_000n]],
      );
    }
    assert.is(record.attempts, 2, 'each owner that was lost had begun at least once');
  });

  test('an older epoch takes nothing from a younger one', () => {
    const record = takenUp(openRecord(options, first, ''), second);
    throws(() => takenUp(record, first), FractoryError, { reason: 'RUN_TAKEN_OVER' });
  });

  test('pins stay with the run', () => {
    const pinned = [{ step: 'a', members: [{ member: 'block-1', epoch: 3n }], branches: 0 }];
    const record = takenUp(pinnedRecord(openRecord(options, first, ''), 4, pinned), second);
    assert.equal([record.pinned, record.attempts], [pinned, 4]);
  });

  test('a run ends once', () => {
    const end = (state: RunState): RunEnded => ({
      ...{ state, result: undefined, failure: undefined, receipts: [], attempts: 3 },
      elapsedUs: 1n,
    });
    const ended = endedRecord(openRecord(options, first, ''), end(RunState.SUCCEEDED));
    assert.is(endedRecord(ended, end(RunState.FAILED)).ended?.state, RunState.SUCCEEDED);
  });

  test('one that nobody took up in time is timed out', () => {
    const { state, failure, elapsedUs } = outOfTime(openRecord(options, first, ''), 52_000);
    assert.equal(
      [state, failure?.reason, elapsedUs],
      [...[RunState.TIMED_OUT, 'BUDGET_EXHAUSTED', 2_000_000n]],
    );
  });
});
