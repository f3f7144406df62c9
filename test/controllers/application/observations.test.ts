import { status } from '@grpc/grpc-js';

import { Observations } from '../../../controllers/application/observations.js';
import type { Observation } from '../../../controllers/kernel/outliers.js';
import { Receipt } from '../../../protos/gen/fractory/v1/graph.js';
import { toFailure } from '../../../protos/status.js';
import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError, invalidArgument, unavailable } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';
import { member } from '../kernel/member-list.js';

function observationsOf() {
  const seen: string[] = [];
  const clock = new ManualClock(0);
  const observations = new Observations(
    {
      members: () => [member('math-1')],
      observe: ({ id }, observation: Observation) => {
        const { kind } = observation;
        seen.push(
          `${id} ${kind === 'done' ? `${observation.operation} ${String(observation.ms)}` : kind}`,
        );
      },
    },
    clock,
  );
  return { seen: () => seen.splice(0), observations, clock };
}

const receipt = (id: string, transferUs: number, fields: Partial<Receipt> = {}): Receipt =>
  Receipt.fromPartial({
    operation: 'math.add',
    member: id,
    computeUs: 1000,
    transferUs,
    ...fields,
  });

suite('observations', (test) => {
  test('of a step are its times at the member; what was only remembered says nothing', () => {
    const { seen, observations } = observationsOf();
    observations.receipts([
      receipt('math-1', 100, { queueUs: 500, pullUs: 2500 }),
      receipt('math-2', 100, { reused: true }),
    ]);
    assert.equal(seen(), ['math-1 math.add 4']);
  });

  test('the way counts as far as it takes longer than the shortest from the same member: clocks may differ', () => {
    const { seen, observations, clock } = observationsOf();
    observations.receipts([receipt('math-1', 70_000), receipt('math-2', 0)]);
    observations.receipts([receipt('math-1', 95_000), receipt('math-2', 8000)]);
    observations.receipts([receipt('math-2', 300)]);
    assert.equal(seen(), [
      'math-1 math.add 1',
      'math-2 math.add 1',
      'math-1 math.add 26',
      'math-2 math.add 9',
      'math-2 math.add 1',
    ]);
    clock.advance(120_001);
    observations.receipts([]);
    clock.advance(60_000);
    observations.receipts([receipt('math-1', 99_000)]);
    clock.advance(60_000);
    observations.receipts([receipt('math-1', 99_500)]);
    assert.equal(
      seen(),
      ['math-1 math.add 30', 'math-1 math.add 1.5'],
      'after a while the way is what it is',
    );
  });

  test('a failure is held against its member where that is to blame', () => {
    const { seen, observations } = observationsOf();
    const failures = [
      new FractoryError(status.INTERNAL, 'INTERNAL', 'a bug'),
      new FractoryError(status.DEADLINE_EXCEEDED, 'STEP_TIMEOUT', 'too slow'),
      unavailable('WORKERS_GONE', 'no worker'),
      unavailable('OWNER_LOST', 'somebody else is gone'),
      unavailable('NODE_STOPPING', 'it leaves politely'),
      invalidArgument('input', 'is no number'),
    ];
    for (const error of failures)
      observations.failure(toFailure(error, { step: 'a', member: 'math-1' }));
    observations.failure(toFailure(failures[0], { step: 'a', member: 'gone-1' }));
    assert.equal(seen(), ['math-1 failed', 'math-1 failed', 'math-1 failed']);
  });
});
