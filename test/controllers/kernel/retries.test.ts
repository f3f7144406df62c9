import { Retries } from '../../../controllers/kernel/retries.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { RetryBudget } from '../../../runtime/retry-budget.js';
import { assert, rejects, suite } from '../../suite.js';

const FAR_MS = 60_000;

function retriesOf(burst = 100) {
  const listeners = new Set<() => void>();
  const held: number[] = [];
  const retries = new Retries({
    budget: new RetryBudget({ burst, minPerSecond: 1, maxDelayMs: FAR_MS }),
    onNews: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onRetry: (heldMs) => held.push(heldMs),
  });
  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };
  return { retries, listeners, held, tell };
}

const never = new AbortController().signal;

suite('retries', (test) => {
  test('wait for their backoff, and no longer while there is a budget', async () => {
    const { retries, held, listeners } = retriesOf();
    await retries.pause(1, never);
    assert.equal([held, listeners.size], [[0], 0]);
  });

  test('are held back where the budget is spent, until there is news of the members', async () => {
    const { retries, held, tell, listeners } = retriesOf(1);
    await retries.pause(1, never);
    const waiting = Array.from({ length: 50 }, () => retries.pause(1, never));
    assert.ok((held.at(-1) ?? 0) > 40_000, `${String(held.at(-1))} ms`);
    tell();
    await Promise.all(waiting);
    assert.is(listeners.size, 0);
  });

  test('end with the signal, for its reason', async () => {
    const { retries, listeners } = retriesOf();
    const caller = new AbortController();
    const waiting = retries.pause(FAR_MS, caller.signal);
    caller.abort(unavailable('ENOUGH', 'enough waited'));
    await rejects(waiting, FractoryError, { reason: 'ENOUGH' });
    await rejects(retries.pause(FAR_MS, caller.signal), FractoryError, { reason: 'ENOUGH' });
    assert.is(listeners.size, 0);
  });
});
