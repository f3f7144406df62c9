import { status } from '@grpc/grpc-js';

import { judge } from '../../../launcher/chaos/verdict.js';
import type { Circumstances } from '../../../launcher/chaos/verdict.js';
import type { RunHeard } from '../../../launcher/chaos/run-client.js';
import { RunEnded, RunState } from '../../../protos/gen/fractory/v1/application.js';
import { jsonValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';

const SHA = 'a'.repeat(64);
const early: Circumstances = {
  ...{ expectedSha256: SHA, budgetMs: 1000, tookMs: 100, diskFull: false },
};
const late = { ...early, tookMs: 990 };

function wrote(sha256: string, version = 1): RunHeard {
  const result = jsonValue({ sha256, version });
  const ended = RunEnded.fromPartial({ state: RunState.SUCCEEDED, result, attempts: 1 });
  return { ended, refusal: undefined, sends: 1 };
}

function failed(reason: string): RunHeard {
  const failure = { reason, message: `${reason} it was` };
  const ended = RunEnded.fromPartial({ state: RunState.FAILED, failure, attempts: 2 });
  return { ended, refusal: undefined, sends: 1 };
}

suite('the verdict on a run', (test) => {
  test('the right answer, written once, is a success', () => {
    assert.equal(judge(wrote(SHA), early), { outcome: 'succeeded', attempts: 1 });
  });

  test('another answer is wrong, a second version doubled', () => {
    assert.is(judge(wrote('b'.repeat(64)), early).outcome, 'wrong');
    assert.is(judge(wrote(SHA, 2), early).outcome, 'doubled');
  });

  test('a run whose end nobody told is lost', () => {
    assert.is(judge({ ended: undefined, refusal: undefined, sends: 3 }, late).outcome, 'lost');
  });

  test('a failure is true when the budget is gone, and wrong before', () => {
    assert.is(judge(failed('OWNER_LOST'), late).outcome, 'failed');
    const { outcome, reason, detail } = judge(failed('OWNER_LOST'), early);
    assert.equal([outcome, reason], ['wrong', 'OWNER_LOST']);
    assert.match(detail ?? '', /failed after 100 of 1000 ms: OWNER_LOST it was/);
  });

  test('a full disk is a reason where a disk was full, and only there', () => {
    assert.is(judge(failed('DISK_FULL'), { ...early, diskFull: true }).outcome, 'failed');
    assert.is(judge(failed('DISK_FULL'), early).outcome, 'wrong');
    assert.is(judge(failed('OWNER_LOST'), { ...early, diskFull: true }).outcome, 'wrong');
  });

  test('rather failed than done twice: that is true at any time', () => {
    assert.is(judge(failed('STEP_MAY_BE_DONE'), early).outcome, 'failed');
  });

  test('a refusal for good is judged like a failure', () => {
    const refusal = new FractoryError(status.INVALID_ARGUMENT, 'BAD_GRAPH', 'no');
    assert.is(judge({ ended: undefined, refusal, sends: 1 }, early).outcome, 'wrong');
  });
});
