import { status } from '@grpc/grpc-js';

import {
  markedRights,
  mint,
  narrow,
  RIGHT_INVOKE,
} from '../../../controllers/kernel/capabilities/token.js';
import { OnceSteps } from '../../../controllers/kernel/once-steps.js';
import { RememberedResults } from '../../../controllers/kernel/remembered-results.js';
import type { Travelling } from '../../../controllers/kernel/results.js';
import { ObjectKind } from '../../../protos/gen/fractory/v1/capability.js';
import { bytesValue, integerValue, toPlain } from '../../../protos/values.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite, throws } from '../../suite.js';
import { Kernels, operation, receiptsOf, resultOf } from './kernels.js';

const MIB = 1024 * 1024;
const name = { step: 'a', member: 'block-1' };
const root = mint(Buffer.from('secret'), {
  ...{ owner: 'block-1', epoch: 1n, object: 1n, node: 1n, rights: RIGHT_INVOKE },
  kind: ObjectKind.REQUEST,
});

/** A step of an execution of a run. */
function useOf(run: string, step = 'a', execution = 1) {
  const scope = { run, step };
  const rights = markedRights(RIGHT_INVOKE, execution);
  return { scope, capability: narrow(root, { step: scope, rights }) };
}

/** The end of that execution. */
function forget(once: OnceSteps, run: string, step = 'a', execution = 1): void {
  const { scope, capability } = useOf(run, step, execution);
  once.forget(scope, capability);
}

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
    const first = once.join(useOf('r'), name, 100, begin);
    const second = once.join(useOf('r'), name, 100, () => yields(2n));
    finish(await yields(1n));
    const third = once.join(useOf('r'), name, 100, () => yields(3n));
    for (const { outcome } of [first, second, third])
      assert.equal((await outcome).value, integerValue(1n));
    assert.equal([first.isFirst, second.isFirst, third.isFirst], [true, false, false]);
    assert.is(once.join(useOf('other'), name, 100, () => yields(4n)).isFirst, true);
  });

  test('a failure before there could be an effect is forgotten', async () => {
    const { once } = steps();
    const fails = () => Promise.reject(unavailable('OWNER_LOST', 'an argument was lost'));
    await rejects(once.join(useOf('r'), name, 100, fails).outcome, FractoryError, {
      reason: 'OWNER_LOST',
    });
    assert.is(once.size, 0);
    const again = once.join(useOf('r'), name, 100, () => yields(1n));
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
        const { outcome, isFirst } = once.join(useOf('r'), name, 100, fails);
        await rejects(outcome, FractoryError, { reason });
        assert.is(isFirst, times === 0);
      }
    }
  });

  test('a run that has ended, or a capability that has expired, leaves nothing', async () => {
    const { clock, once } = steps();
    await once.join(useOf('r'), name, 100, () => yields(1n)).outcome;
    await once.join(useOf('r', 'b'), name, 100, () => yields(1n)).outcome;
    forget(once, 'r');
    assert.is(once.size, 1);
    await once.join(useOf('s'), name, 50, () => yields(1n)).outcome;
    clock.nowMs = 60;
    await once.join(useOf('t'), name, 100, () => yields(1n)).outcome;
    assert.is(once.size, 2);
    clock.nowMs = 100;
    await once.join(useOf('u'), name, 200, () => yields(1n)).outcome;
    assert.is(once.size, 1);
  });

  test('it is known that a step was done until its capability expires, though its run has ended', async () => {
    const { clock, once } = steps();
    await once.join(useOf('r'), name, 100, () => yields(1n)).outcome;
    forget(once, 'r');
    const late = () => once.join(useOf('r'), name, 100, () => yields(2n));
    throws(late, FractoryError, { reason: 'CAPABILITY_REVOKED' });
    clock.nowMs = 99;
    await once.join(useOf('s'), name, 200, () => yields(1n)).outcome;
    throws(late, FractoryError, { reason: 'CAPABILITY_REVOKED' });
    clock.nowMs = 100;
    await once.join(useOf('t'), name, 200, () => yields(1n)).outcome;
    assert.is(late().isFirst, true);
  });

  test('the late end of an execution leaves alone what the next one of the same run has begun', async () => {
    const { once } = steps();
    const large = { input: bytesValue('', Buffer.alloc(1000)) };
    const wide = [1, 2].map((execution) => {
      const { scope, capability } = useOf('r', 'a', execution);
      const name = 'input';
      const args = [{ name, value: large.input }];
      return { scope, capability: narrow(capability, { arguments: args }) };
    });
    const items = wide.map(({ scope, capability }) => ({
      ...{ scope, capability: narrow(capability, { item: 3 }) },
    }));
    for (const use of [...wide, ...items])
      await once.join(use, name, 100, () => yields(1n)).outcome;
    forget(once, 'r', 'a', 1);
    assert.is(once.size, 2);
    for (const use of [wide[1]!, items[1]!])
      assert.is(once.join(use, name, 100, () => yields(2n)).isFirst, false);
    for (const use of [wide[0]!, items[0]!])
      throws(() => once.join(use, name, 100, () => yields(2n)), FractoryError, {
        reason: 'CAPABILITY_REVOKED',
      });
  });

  test('what is known of runs that have ended makes room', async () => {
    const { once } = steps();
    for (let run = 0; run < 10_000; run++) {
      await once.join(useOf(String(run)), name, 100, () => yields(1n)).outcome;
      forget(once, String(run));
    }
    assert.is(once.size, 0);
    const first = once.join(useOf('0'), name, 100, () => yields(2n));
    assert.is(first.isFirst, true);
    throws(() => once.join(useOf('9999'), name, 100, () => yields(2n)), FractoryError, {
      reason: 'CAPABILITY_REVOKED',
    });
  });

  test('where there is no room a step is refused before it begins; what is remembered stays', async () => {
    const { once } = steps();
    const large = { value: bytesValue('', Buffer.alloc(MIB)), kept: undefined };
    const first = once.join(useOf('r'), name, 100, () => Promise.resolve(large));
    await first.outcome;
    let begun = 0;
    const begin = () => {
      begun++;
      return yields(1n);
    };
    const error = throws(() => once.join(useOf('s'), name, 100, begin), FractoryError, {
      ...{ code: status.RESOURCE_EXHAUSTED, retryAfterMs: 500 },
    });
    assert.match(error.message, /the limit max_remembered_bytes is 1048576/);
    assert.is(begun, 0);
    assert.is(once.join(useOf('r'), name, 100, begin).isFirst, false);
    forget(once, 'r');
    assert.is(once.join(useOf('s'), name, 100, begin).isFirst, true);
  });
});

suite('remembered results', (test) => {
  test('go with the execution that they are of, and no other', () => {
    const remembered = new RememberedResults(10, MIB);
    const [first, second] = [useOf('r', 'a', 1), useOf('r', 'a', 2)];
    remembered.set(first, integerValue(1n));
    remembered.set(second, integerValue(2n));
    remembered.forget(first.scope, first.capability);
    assert.equal([remembered.get(first), remembered.get(second)], [undefined, integerValue(2n)]);
    remembered.forget(second.scope, root);
    assert.is(remembered.size, 0);
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
