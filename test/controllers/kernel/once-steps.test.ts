import { status } from '@grpc/grpc-js';

import { OnceSteps } from '../../../controllers/kernel/once-steps.js';
import { resultKey } from '../../../controllers/kernel/remembered-results.js';
import type { Travelling } from '../../../controllers/kernel/results.js';
import { bytesValue, integerValue, toPlain } from '../../../protos/values.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite, throws } from '../../suite.js';
import { Kernels, operation, receiptsOf, resultOf } from './kernels.js';

const MIB = 1024 * 1024;
const name = { step: 'a', member: 'block-1' };
const keyOf = (run: string, step = 'a') => resultKey(run, step, Buffer.from('tag'));
const yields = (value: bigint): Promise<Travelling> =>
  Promise.resolve({ value: integerValue(value), kept: undefined });

/** Steps on a clock that the test sets. */
function steps() {
  const clock = { nowMs: 0 };
  return { clock, once: new OnceSteps({ maxBytes: MIB, now: () => clock.nowMs }) };
}

suite('steps that are done once', (test) => {
  test('whoever comes second waits for the first and gets what it got', async () => {
    const { once } = steps();
    let finish: (made: Travelling) => void = () => undefined;
    const begin = () => new Promise<Travelling>((resolve) => (finish = resolve));
    const first = once.join(keyOf('r'), name, 100, begin);
    const second = once.join(keyOf('r'), name, 100, () => yields(2n));
    finish(await yields(1n));
    const third = once.join(keyOf('r'), name, 100, () => yields(3n));
    for (const { outcome } of [first, second, third])
      assert.equal((await outcome).value, integerValue(1n));
    assert.equal([first.isFirst, second.isFirst, third.isFirst], [true, false, false]);
    assert.is(once.join(keyOf('other'), name, 100, () => yields(4n)).isFirst, true);
  });

  test('a failure before there could be an effect is forgotten', async () => {
    const { once } = steps();
    const fails = () => Promise.reject(unavailable('OWNER_LOST', 'an argument was lost'));
    await rejects(once.join(keyOf('r'), name, 100, fails).outcome, FractoryError, {
      reason: 'OWNER_LOST',
    });
    assert.is(once.size, 0);
    const again = once.join(keyOf('r'), name, 100, () => yields(1n));
    assert.is(again.isFirst, true);
  });

  test('a failure after that stays, and one that would be tried again says why it is not', async () => {
    for (const [thrown, reason] of [
      [unavailable('BUSY', 'the device is busy'), 'STEP_MAY_BE_DONE'],
      [new FractoryError(status.RESOURCE_EXHAUSTED, 'DEVICE_FULL', 'full'), 'DEVICE_FULL'],
    ] as const) {
      const { once } = steps();
      const fails = (begins: () => void) => {
        begins();
        return Promise.reject(thrown);
      };
      for (let times = 0; times < 2; times++) {
        const { outcome, isFirst } = once.join(keyOf('r'), name, 100, fails);
        await rejects(outcome, FractoryError, { reason });
        assert.is(isFirst, times === 0);
      }
    }
  });

  test('a run that has ended, or a capability that has expired, leaves nothing', async () => {
    const { clock, once } = steps();
    await once.join(keyOf('r'), name, 100, () => yields(1n)).outcome;
    await once.join(keyOf('r', 'b'), name, 100, () => yields(1n)).outcome;
    once.forget('r', 'a');
    assert.is(once.size, 1);
    await once.join(keyOf('s'), name, 50, () => yields(1n)).outcome;
    clock.nowMs = 60;
    await once.join(keyOf('t'), name, 100, () => yields(1n)).outcome;
    assert.is(once.size, 2);
    clock.nowMs = 100;
    await once.join(keyOf('u'), name, 200, () => yields(1n)).outcome;
    assert.is(once.size, 1);
  });

  test('it is known that a step was done until its capability expires, though its run has ended', async () => {
    const { clock, once } = steps();
    await once.join(keyOf('r'), name, 100, () => yields(1n)).outcome;
    once.forget('r', 'a');
    const late = () => once.join(keyOf('r'), name, 100, () => yields(2n));
    throws(late, FractoryError, { reason: 'CAPABILITY_REVOKED' });
    clock.nowMs = 99;
    await once.join(keyOf('s'), name, 200, () => yields(1n)).outcome;
    throws(late, FractoryError, { reason: 'CAPABILITY_REVOKED' });
    clock.nowMs = 100;
    await once.join(keyOf('t'), name, 200, () => yields(1n)).outcome;
    assert.is(late().isFirst, true);
  });

  test('what is known of runs that have ended makes room', async () => {
    const { once } = steps();
    for (let run = 0; run < 10_000; run++) {
      await once.join(keyOf(String(run)), name, 100, () => yields(1n)).outcome;
      once.forget(String(run), 'a');
    }
    assert.is(once.size, 0);
    const first = once.join(keyOf('0'), name, 100, () => yields(2n));
    assert.is(first.isFirst, true);
    throws(() => once.join(keyOf('9999'), name, 100, () => yields(2n)), FractoryError, {
      reason: 'CAPABILITY_REVOKED',
    });
  });

  test('where there is no room a step is refused before it begins; what is remembered stays', async () => {
    const { once } = steps();
    const large = { value: bytesValue('', Buffer.alloc(MIB)), kept: undefined };
    const first = once.join(keyOf('r'), name, 100, () => Promise.resolve(large));
    await first.outcome;
    let begun = 0;
    const begin = () => {
      begun++;
      return yields(1n);
    };
    const error = throws(() => once.join(keyOf('s'), name, 100, begin), FractoryError, {
      ...{ code: status.RESOURCE_EXHAUSTED, retryAfterMs: 500 },
    });
    assert.match(error.message, /the limit max_remembered_bytes is 1048576/);
    assert.is(begun, 0);
    assert.is(once.join(keyOf('r'), name, 100, begin).isFirst, false);
    once.forget('r', 'a');
    assert.is(once.join(keyOf('s'), name, 100, begin).isFirst, true);
  });
});

const STEP = { run: 'run-1', step: 's' };

/** Resolves when all that is on its way has arrived. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

suite('a kernel with steps that are done once', (test) => {
  test('a release between two attempts leaves alone what must not be done twice', async () => {
    await using kernels = new Kernels();
    let finish: () => void = () => undefined;
    let begun = 0;
    const slow = operation('math.slow', () => {
      begun++;
      return new Promise((resolve) => {
        finish = () => {
          resolve(integerValue(7n));
        };
      });
    });
    kernels.add('math-1', [{ ...slow, spec: { ...slow.spec, idempotent: false } }]);
    const { kernel } = kernels.place('math-1');
    const step = kernels.capability('math-1', 'math.slow', { step: STEP });
    const first = kernels.reply('math-1');
    await kernels.dispatch('math-1', kernels.chain([step], first, undefined, { attempt: 1 }));
    kernel.release({ capabilities: [step], attempt: 1, ended: false });
    const second = kernels.reply('math-1');
    await kernels.dispatch('math-1', kernels.chain([step], second, undefined, { attempt: 2 }));
    await settled();
    finish();
    const outcome = await second.outcome;
    assert.equal([toPlain(resultOf(outcome)), begun, first.settled()], ['7', 1, 0]);
    assert.is(receiptsOf(outcome)[0]?.reused, true);
    first.revoke();
    kernels.release('math-1', step, 2);
  });

  test('the end of the run aborts what must not be done twice too', async () => {
    await using kernels = new Kernels();
    let aborted = 0;
    const slow = operation('math.slow', (_, { signal }) => {
      signal.addEventListener('abort', () => aborted++);
      return new Promise(() => undefined);
    });
    kernels.add('math-1', [{ ...slow, spec: { ...slow.spec, idempotent: false } }]);
    const step = kernels.capability('math-1', 'math.slow', { step: STEP });
    const reply = kernels.reply('math-1');
    await kernels.dispatch('math-1', kernels.chain([step], reply, undefined, { attempt: 1 }));
    kernels.release('math-1', step, 1);
    await settled();
    assert.is(aborted, 1);
    reply.revoke();
  });
});
