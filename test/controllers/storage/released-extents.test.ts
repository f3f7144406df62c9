import { ReleasedExtents } from '../../../controllers/storage/released-extents.js';
import { ManualClock } from '../../../runtime/clock.js';
import { unavailable } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { assert, suite } from '../../suite.js';

const CONTENT = { device: 'block-1', extents: ['a', 'b'] };

/** What is freed under a clock that stands still; `used` says until when a content is read. */
function world(options: { used?: number; failures?: number } = {}) {
  const clock = new ManualClock();
  const stopping = new AbortController();
  const state = { usedUntilMs: clock.now() + (options.used ?? 0), freed: [] as string[][] };
  let failures = options.failures ?? 0;
  const released = new ReleasedExtents({
    ...{ clock, lingerMs: 1000, log: silentLogger(), stopping: stopping.signal },
    usedUntilMs: () => state.usedUntilMs,
    free: ({ extents }) => {
      if (failures-- > 0) return Promise.reject(unavailable('OWNER_LOST', 'it is not there'));
      state.freed.push([...extents]);
      return Promise.resolve();
    },
  });
  const settled = (): Promise<void> => new Promise(setImmediate);
  return { clock, state, released, settled, stopping };
}

suite('released extents', (test) => {
  test('what nobody reads is freed at once, and once', async () => {
    const { released, state, settled, clock } = world();
    released.add(CONTENT);
    released.add(CONTENT);
    await settled();
    assert.equal(state.freed, [['a', 'b']]);
    assert.is(clock.pending, 0);
  });

  test('what is read is freed when its readers have had their time', async () => {
    const { released, state, settled, clock } = world({ used: 400 });
    released.add(CONTENT);
    clock.advance(399);
    await settled();
    assert.equal(state.freed, []);
    clock.advance(1);
    await settled();
    assert.equal(state.freed, [['a', 'b']]);
  });

  test('readers that take longer than may linger are not waited for', async () => {
    const { released, state, settled, clock } = world({ used: 60_000 });
    released.add(CONTENT);
    clock.advance(1000);
    await settled();
    assert.is(state.freed.length, 1);
  });

  test('the end of the last reader is heard', async () => {
    const { released, state, settled, clock } = world({ used: 900 });
    released.add(CONTENT);
    state.usedUntilMs = 0;
    released.readerEnded(CONTENT);
    await settled();
    assert.is(state.freed.length, 1);
    assert.is(clock.pending, 0);
  });

  test('what could not be freed is tried again', async () => {
    const { released, state, settled, clock } = world({ failures: 2 });
    released.add(CONTENT);
    for (let round = 0; round < 2; round++) {
      await settled();
      assert.equal(state.freed, []);
      assert.is(clock.pending, 1);
      clock.advance(5000);
    }
    await settled();
    assert.is(state.freed.length, 1);
  });

  test('all that lingers is freed where room is needed, and that is told', async () => {
    const { released, state } = world({ used: 900 });
    assert.is(await released.freeAll(), false);
    released.add(CONTENT);
    assert.is(await released.freeAll(), true);
    assert.is(state.freed.length, 1);
    assert.is(await released.freeAll(), false);
  });

  test('nothing waits any more after the close', async () => {
    const { released, state, settled, clock, stopping } = world({ used: 900 });
    released.add(CONTENT);
    stopping.abort();
    await released.close();
    released.add({ ...CONTENT, extents: ['c'] });
    clock.advance(10_000);
    await settled();
    assert.equal(state.freed, []);
  });
});
