import { assert, suite } from '../suite.js';
import { isFresh, reduceLiveness, unborn } from '../../zookeeper/liveness.js';
import type { Liveness, LivenessEvent } from '../../zookeeper/liveness.js';

const answered = (sentAtMs: number): LivenessEvent => ({
  kind: 'answered',
  sentAtMs,
  timeoutMs: 100,
});
const silent: LivenessEvent = { kind: 'silent' };
const expired: LivenessEvent = { kind: 'expired' };
const closed: LivenessEvent = { kind: 'closed' };
const elapsed = (nowMs: number): LivenessEvent => ({ kind: 'elapsed', nowMs });

suite('liveness of a session', (test) => {
  const table: [LivenessEvent[], string, number][] = [
    [[], 'connecting', 0],
    [[silent, expired, elapsed(1000)], 'connecting', 0],
    [[answered(0)], 'connected', 1],
    [[answered(0), silent], 'suspended', 1],
    [[answered(0), silent, answered(50)], 'connected', 1],
    [[answered(0), elapsed(99)], 'connected', 1],
    [[answered(0), elapsed(100)], 'lost', 1],
    [[answered(0), silent, elapsed(99)], 'suspended', 1],
    [[answered(0), silent, elapsed(100)], 'lost', 1],
    [[answered(0), answered(50), elapsed(149)], 'connected', 1],
    [[answered(0), expired], 'lost', 1],
    [[answered(0), silent, expired, silent, elapsed(999)], 'lost', 1],
    [[answered(0), expired, answered(10)], 'connected', 2],
    [[answered(0), closed, answered(10), expired], 'closed', 1],
  ];
  for (const [events, state, generation] of table)
    test(`${events.map(({ kind }) => kind).join(', ') || 'nothing'}: ${state}`, () => {
      const end = events.reduce<Liveness>(reduceLiveness, unborn);
      assert.equal([end.state, end.generation], [state, generation]);
    });

  test('is fresh until one timeout after what was answered was sent, by the clock alone', () => {
    const connected = reduceLiveness(unborn, answered(1000));
    assert.ok(isFresh(connected, 1099));
    assert.not.ok(isFresh(connected, 1100));
    assert.not.ok(isFresh(reduceLiveness(connected, silent), 1001));
  });
});
