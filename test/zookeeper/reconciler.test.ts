import { ManualClock } from '../../runtime/clock.js';
import { Reconciler } from '../../zookeeper/reconciler.js';
import { assert, suite } from '../suite.js';

/** Work that ends when the test says so. */
class Steps {
  readonly running: { end: () => void; fail: () => void }[] = [];
  runs = 0;
  readonly work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      this.runs++;
      this.running.push({
        end: resolve,
        fail: () => {
          reject(new Error('failed'));
        },
      });
    });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

suite('reconciler', (test) => {
  test('requests during a run make exactly one more', async () => {
    const steps = new Steps();
    const reconciler = new Reconciler(steps.work, {
      clock: new ManualClock(),
      onError: () => undefined,
    });
    reconciler.request();
    reconciler.request();
    reconciler.request();
    assert.is(steps.runs, 1);
    steps.running[0]!.end();
    await turn();
    assert.is(steps.runs, 2);
    steps.running[1]!.end();
    await turn();
    assert.is(steps.runs, 2);
    await reconciler.stop();
  });

  test('completed waits for a run that began after it was called', async () => {
    const steps = new Steps();
    const reconciler = new Reconciler(steps.work, {
      clock: new ManualClock(),
      onError: () => undefined,
    });
    reconciler.request();
    let done = false;
    const completed = reconciler.completed().then(() => (done = true));
    steps.running[0]!.end();
    await turn();
    assert.is(done, false);
    steps.running[1]!.end();
    await completed;
  });

  test('a failed run is tried again after a delay, and reported', async () => {
    const steps = new Steps();
    const clock = new ManualClock();
    const attempts: number[] = [];
    const reconciler = new Reconciler(steps.work, {
      clock,
      onError: (_, attempt) => attempts.push(attempt),
    });
    const completed = reconciler.completed();
    steps.running[0]!.fail();
    await turn();
    assert.is(steps.runs, 1);
    clock.advance(1000);
    assert.is(steps.runs, 2);
    steps.running[1]!.end();
    await completed;
    assert.equal(attempts, [1]);
    assert.is(clock.pending, 0);
  });

  test('stop waits for the run under way, begins no other, and lets nobody wait', async () => {
    const steps = new Steps();
    const clock = new ManualClock();
    const reconciler = new Reconciler(steps.work, { clock, onError: () => undefined });
    const completed = reconciler.completed();
    const stopped = reconciler.stop();
    steps.running[0]!.fail();
    await stopped;
    await completed;
    reconciler.request();
    clock.advance(10_000);
    assert.is(steps.runs, 1);
    assert.is(clock.pending, 0);
  });
});
