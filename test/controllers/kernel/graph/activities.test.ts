import { mint, narrow } from '../../../../controllers/kernel/capabilities/token.js';
import { Activities } from '../../../../controllers/kernel/graph/activities.js';
import { ReleasedSteps } from '../../../../controllers/kernel/graph/released.js';
import { ObjectKind } from '../../../../protos/gen/fractory/v1/capability.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { cancelled } from '../../../../runtime/errors.js';
import { assert, suite } from '../../../suite.js';

const root = mint(new Uint8Array(32), {
  ...{ owner: 'math-1', epoch: 1n, object: 1n, node: 1n },
  ...{ kind: ObjectKind.REQUEST, rights: 1 },
});
const scope = { run: 'r', step: 's' };
const step = narrow(root, { step: scope });
const reason = cancelled();

function begin(activities: Activities, capability: Capability, attempt = 1, isResult = false) {
  let ended = 0;
  const remove = activities.add('r', 's', {
    ...{ capability, attempt, isResult },
    end: () => {
      ended++;
    },
  });
  return { remove, ended: () => ended };
}

suite('a release of a step', (test) => {
  test('ends what was begun with its capability and with those narrowed from it', () => {
    const activities = new Activities();
    const own = begin(activities, step);
    const item = begin(activities, narrow(step, { item: 3 }));
    activities.release(scope, step, { attempt: 1, ended: true }, reason);
    assert.equal([own.ended(), item.ended(), activities.size], [1, 1, 0]);
  });

  test("leaves alone what another's capability for a step of the same name has begun", () => {
    const activities = new Activities();
    const others = begin(activities, narrow(root, { step: scope, expiresAtMs: 9n }));
    const wider = begin(activities, root);
    activities.release(scope, step, { attempt: 1, ended: true }, reason);
    assert.equal([others.ended(), wider.ended(), activities.size], [0, 0, 2]);
  });

  test('leaves later attempts, and results until the run has ended', () => {
    const activities = new Activities();
    const later = begin(activities, step, 2);
    const result = begin(activities, step, 1, true);
    activities.release(scope, step, { attempt: 1, ended: false }, reason);
    assert.equal([later.ended(), result.ended()], [0, 0]);
    activities.release(scope, step, { attempt: 2, ended: true }, reason);
    assert.equal([later.ended(), result.ended(), activities.size], [1, 1, 0]);
  });

  test('finds nothing of what has ended by itself', () => {
    const activities = new Activities();
    const { remove, ended } = begin(activities, step);
    remove();
    remove();
    activities.release(scope, step, { attempt: 1, ended: true }, reason);
    assert.equal([ended(), activities.size], [0, 0]);
  });
});

suite('a released step', (test) => {
  test('is known for its attempt and those before, for a moment', () => {
    const released = new ReleasedSteps();
    released.add(scope, step, 2, 0);
    assert.equal(
      [1, 2, 3].map((attempt) => released.has(scope, step, attempt)),
      [true, true, false],
    );
    assert.not(released.has(scope, root, 1));
    released.add(scope, { ...root, object: 9n }, 1, 60_000);
    assert.not(released.has(scope, step, 1), 'forgotten after a minute');
  });

  test('never takes more than a bounded number of places', () => {
    const released = new ReleasedSteps();
    for (let item = 0; item < 20_000; item++)
      released.add(scope, { ...step, tag: Buffer.from(String(item)) }, 1, 0);
    assert.ok(released.size <= 16_384, `${String(released.size)} are remembered`);
  });
});
