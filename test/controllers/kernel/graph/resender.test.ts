import { status } from '@grpc/grpc-js';

import { Resender } from '../../../../controllers/kernel/graph/resender.js';
import { Invocation } from '../../../../protos/gen/fractory/v1/controller.js';
import { ManualClock } from '../../../../runtime/clock.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite } from '../../../suite.js';

const full = (retryAfterMs: number): FractoryError =>
  new FractoryError(status.RESOURCE_EXHAUSTED, 'LIMIT_EXCEEDED', 'no room', { retryAfterMs });

/** An owner that has no room for the first so many invocations. */
function ownerOf(refusals: number) {
  const clock = new ManualClock(0);
  const sentAtMs: number[] = [];
  let left = refusals;
  const resender = new Resender({
    clock,
    dispatch: (_, settle) => {
      sentAtMs.push(clock.now());
      if (left-- > 0) settle(full(10));
      else settle();
    },
    onRefused: () => undefined,
  });
  const lost: FractoryError[] = [];
  const send = (budgetMs: number): void => {
    resender.send(Invocation.fromPartial({ budgetMs }), (error) => lost.push(error));
  };
  return { clock, sentAtMs, send, lost };
}

suite('resender', (test) => {
  test('sends again when the owner has room, with what is left of the budget', () => {
    const { clock, sentAtMs, send, lost } = ownerOf(2);
    send(1000);
    clock.advance(100);
    assert.is(sentAtMs.length, 3);
    assert.ok((sentAtMs[1] ?? 0) >= 10 && (sentAtMs[2] ?? 0) >= 20);
    assert.equal([lost.length, clock.pending], [0, 0]);
  });

  test('a refusal is final where the budget ends before there is room', () => {
    const { clock, sentAtMs, send, lost } = ownerOf(1);
    send(5);
    clock.advance(100);
    assert.equal([sentAtMs.length, lost.length], [1, 1]);
  });

  test('however many are refused again and again, what is sent is bounded, and none is given up that has time left', () => {
    const { clock, sentAtMs, send, lost } = ownerOf(Infinity);
    for (let count = 0; count < 3000; count++) send(60_000);
    clock.advance(1000);
    sentAtMs.length = 0;
    clock.advance(4000);
    const perSecond = sentAtMs.length / 4;
    assert.ok(perSecond < 1100, `${String(perSecond)} were sent each second`);
    assert.is(lost.length, 0);
  });
});
