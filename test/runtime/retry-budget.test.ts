import { ManualClock } from '../../runtime/clock.js';
import { RetryBudget } from '../../runtime/retry-budget.js';
import { assert, suite } from '../suite.js';

const OPTIONS = { share: 0.2, minPerSecond: 10, burst: 5, maxDelayMs: 1000 };

function budgetOf(options = OPTIONS) {
  const clock = new ManualClock(0);
  return { clock, budget: new RetryBudget({ ...options, clock }) };
}

const retries = (budget: RetryBudget, count: number): number[] =>
  Array.from({ length: count }, () => Math.round(budget.withdraw()));

suite('retry budget', (test) => {
  test('lets a burst through at once and spreads what comes after it at the minimum rate', () => {
    const { budget } = budgetOf();
    assert.equal(retries(budget, 8), [0, 0, 0, 0, 0, 100, 200, 300]);
  });

  test('holds no retry back longer than its bound', () => {
    const { budget } = budgetOf();
    assert.is(Math.max(...retries(budget, 1000)), 1000);
  });

  test('pays its debt at the minimum rate and never saves more than a burst', () => {
    const { budget, clock } = budgetOf();
    retries(budget, 8);
    clock.advance(300);
    assert.is(Math.round(budget.tokens), 0);
    clock.advance(60_000);
    assert.equal(retries(budget, 6), [0, 0, 0, 0, 0, 100]);
  });

  test('first tries buy their share of retries', () => {
    const { budget } = budgetOf();
    retries(budget, 5);
    for (let count = 0; count < 10; count++) budget.deposit();
    assert.equal(retries(budget, 3), [0, 0, 100]);
  });

  test('retries that all fail add no more than the share and the minimum rate to the load', () => {
    const { budget, clock } = budgetOf({ ...OPTIONS, burst: 100, maxDelayMs: 60_000 });
    const [perSecond, seconds] = [100, 60];
    let sent = 0;
    // Whatever fails wants to be sent again, and again: without a budget this grows without end.
    const send = (): void => {
      sent++;
      clock.schedule(budget.withdraw() + 1, send);
    };
    for (let first = 0; first < perSecond * seconds; first++) {
      budget.deposit();
      send();
      clock.advance(1000 / perSecond);
    }
    const most = perSecond * seconds * (1 + OPTIONS.share) + OPTIONS.minPerSecond * seconds + 100;
    assert.ok(sent <= most * 1.02, `${String(sent)} were sent, ${String(most)} are allowed`);
  });
});
