import { status } from '@grpc/grpc-js';

import type { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import { backoffMs } from '../../../runtime/backoff.js';
import type { Clock } from '../../../runtime/clock.js';
import type { FractoryError } from '../../../runtime/errors.js';
import { RetryBudget } from '../../../runtime/retry-budget.js';
import type { Settle } from '../link.js';
import { nowUs } from '../receipts.js';

/** Invocations that wait to be sent again; beyond, a refusal is final. */
const MAX_WAITING = 4096;
const WAIT = { initialMs: 1, maxMs: 1000 };
/** Wide, since owners say when to come again: a long list that goes through a small queue is refused now and then as a matter of course. */
const BUDGET = { share: 2, minPerSecond: 1000, burst: MAX_WAITING };

export interface ResenderParts {
  readonly clock: Clock;
  dispatch(invocation: Invocation, settle: Settle): void;
  /** Hears of every refusal, also of those after which it is sent again. */
  onRefused(error: FractoryError): void;
}

/** Sends invocations, and again within their budget where the owner had no room and said when it may have some: they were never begun. */
export class Resender {
  readonly #parts: ResenderParts;
  readonly #waiting = new Set<(error?: FractoryError) => void>();
  readonly #budget: RetryBudget;

  constructor(parts: ResenderParts) {
    this.#parts = parts;
    this.#budget = new RetryBudget({ ...BUDGET, clock: parts.clock });
  }

  /** `lost` hears once if it is not admitted in the end. */
  send(invocation: Invocation, lost: (error: FractoryError) => void, tries = 0): void {
    if (tries === 0) this.#budget.deposit();
    this.#parts.dispatch(invocation, (error) => {
      if (error) this.#refused(invocation, error, lost, tries);
    });
  }

  /** Sends nothing again any more: with an error, what waits is lost by it; without one nobody hears. */
  stop(error?: FractoryError): void {
    for (const end of [...this.#waiting]) end(error);
  }

  #refused(
    invocation: Invocation,
    error: FractoryError,
    lost: (error: FractoryError) => void,
    tries: number,
  ): void {
    const { clock } = this.#parts;
    this.#parts.onRefused(error);
    const askedMs = waitBefore(error, tries);
    if (
      askedMs === undefined ||
      askedMs >= invocation.budgetMs ||
      this.#waiting.size >= MAX_WAITING
    ) {
      lost(error);
      return;
    }
    // Who has time left is held back no longer than leaves some of it.
    const heldMs = Math.min(this.#budget.withdraw(), (invocation.budgetMs - askedMs) / 2);
    const waitMs = askedMs + heldMs;
    const cancel = clock.schedule(waitMs, () => {
      this.#waiting.delete(end);
      const budgetMs = Math.max(1, Math.floor(invocation.budgetMs - waitMs));
      const again = { ...invocation, budgetMs, sentAtUs: BigInt(nowUs()) };
      this.send(again, lost, tries + 1);
    });
    const end = (stopped?: FractoryError): void => {
      this.#waiting.delete(end);
      cancel();
      if (stopped) lost(stopped);
    };
    this.#waiting.add(end);
  }
}

function waitBefore(error: FractoryError, tries: number): number | undefined {
  if (error.code !== status.RESOURCE_EXHAUSTED || error.retryAfterMs === undefined)
    return undefined;
  return error.retryAfterMs + backoffMs(tries + 1, WAIT);
}
