import { ManualClock } from '../../runtime/clock.js';
import type { ClientEvent, ZooKeeperClient } from '../../zookeeper/client.js';
import { RivalProbe } from '../../zookeeper/rival-probe.js';
import { assert, suite } from '../suite.js';

const PATIENCE_MS = 3000;

/** A probe whose client the test speaks for. */
function probed() {
  const clock = new ManualClock();
  const found = { othersOnly: 0, closed: 0 };
  let tell: (event: ClientEvent) => void = () => undefined;
  const client = {
    connect: () => undefined,
    close: () => {
      found.closed++;
      return Promise.resolve();
    },
  };
  const probe = new RivalProbe({
    makeClient: (onEvent) => {
      tell = onEvent;
      return client as unknown as ZooKeeperClient;
    },
    patienceMs: () => PATIENCE_MS,
    onOthersOnly: () => found.othersOnly++,
    clock,
  });
  probe.begin();
  return {
    ...{ probe, clock, found },
    tell: (event: ClientEvent) => {
      tell(event);
    },
  };
}

suite('rival probe', (test) => {
  test('a rival that is let in for the whole time proves that others are', () => {
    const { clock, found, tell } = probed();
    clock.advance(10 * PATIENCE_MS);
    assert.is(found.othersOnly, 0, 'nobody was let in');
    tell('connected');
    clock.advance(PATIENCE_MS);
    assert.is(found.othersOnly, 1);
  });

  test('a rival that is sent away again proves nothing', () => {
    const { clock, found, tell } = probed();
    tell('connected');
    clock.advance(PATIENCE_MS - 1);
    tell('disconnected');
    clock.advance(10 * PATIENCE_MS);
    assert.is(found.othersOnly, 0);
    tell('connected');
    clock.advance(PATIENCE_MS - 1);
    assert.is(found.othersOnly, 0, 'it counts from its return');
    clock.advance(1);
    assert.is(found.othersOnly, 1);
  });

  test('a probe that has ended says nothing more', () => {
    const { clock, found, tell, probe } = probed();
    tell('connected');
    probe.end();
    tell('connected');
    clock.advance(10 * PATIENCE_MS);
    assert.equal([found.othersOnly, found.closed], [0, 1]);
  });
});
