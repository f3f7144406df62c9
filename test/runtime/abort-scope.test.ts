import { AbortScope } from '../../runtime/abort-scope.js';
import { callDeadline, sleep, withDeadline } from '../../runtime/deadline.js';
import { cancelled, FractoryError } from '../../runtime/errors.js';
import { assert, rejects, suite } from '../suite.js';

suite('abort scope', (test) => {
  test('follows the first of its sources, with its reason', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const scope = new AbortScope(one.signal, other.signal);
    other.abort(cancelled('by the other'));
    one.abort(cancelled('by the one'));
    assert.is((scope.signal.reason as Error).message, 'by the other');
  });

  test('is aborted at once where a source is', () => {
    assert.ok(new AbortScope(AbortSignal.abort(cancelled())).signal.aborted);
  });

  test('follows nobody after its end', () => {
    const source = new AbortController();
    const scope = new AbortScope(source.signal);
    scope.end();
    source.abort();
    assert.not(scope.signal.aborted);
    scope.abort(cancelled('itself'));
    assert.ok(scope.signal.aborted);
  });

  test('a reason that is no error becomes CANCELLED', () => {
    const scope = new AbortScope();
    scope.abort('text');
    assert.is((scope.signal.reason as FractoryError).reason, 'CANCELLED');
  });
});

suite('deadline', (test) => {
  test('the result comes through', async () => {
    assert.is(await withDeadline(1000, 'work', () => Promise.resolve(5)), 5);
  });

  test('work that ignores its signal holds nobody up', async () => {
    const error = await rejects(
      withDeadline(10, 'work', () => new Promise(() => undefined)),
      FractoryError,
      { reason: 'DEADLINE_EXCEEDED' },
    );
    assert.match(error.message, /work took longer than 10 ms/);
  });

  test('the abort of the parent counts', async () => {
    const parent = new AbortController();
    const pending = withDeadline(10_000, 'work', () => new Promise(() => undefined), parent.signal);
    parent.abort(cancelled('enough'));
    await rejects(pending, FractoryError, { message: 'enough' });
    await rejects(
      withDeadline(10_000, 'work', () => new Promise(() => undefined), parent.signal),
      FractoryError,
      { message: 'enough' },
    );
  });

  test('a sleep ends with its signal and its reason', async () => {
    const controller = new AbortController();
    const asleep = sleep(10_000, controller.signal);
    controller.abort(cancelled('woken'));
    await rejects(asleep, FractoryError, { message: 'woken' });
    await sleep(1);
  });
});

suite('deadlines of signals', (test) => {
  test('a signal has none until somebody says so', () => {
    assert.is(AbortScope.deadlineOf(new AbortController().signal), Infinity);
    assert.is(AbortScope.deadlineOf(new AbortScope().signal), Infinity);
  });

  test('only shrink along the chain', () => {
    const run = new AbortScope();
    run.endsBy(5000);
    const step = new AbortScope(run.signal, new AbortController().signal);
    assert.is(AbortScope.deadlineOf(step.signal), 5000);
    step.endsBy(9000);
    assert.is(AbortScope.deadlineOf(step.signal), 5000);
    step.endsBy(3000);
    const call = new AbortScope(step.signal);
    assert.equal(
      [call, run].map(({ signal }) => AbortScope.deadlineOf(signal)),
      [3000, 5000],
    );
  });

  test('a call is told what is left of the work around it, and at most what it may take itself', async () => {
    const { signal } = new AbortController();
    const startedAt = Date.now();
    const own = callDeadline(signal, 1000).deadline - startedAt;
    assert.ok(own >= 1000 && own < 2000, String(own));
    const left = await withDeadline(50, 'work', (within) =>
      Promise.resolve(callDeadline(within, 60_000).deadline - startedAt),
    );
    assert.ok(left >= 50 && left < 1050, String(left));
  });
});
