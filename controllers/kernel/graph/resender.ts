import { status } from '@grpc/grpc-js';

import type { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import { backoffMs } from '../../../runtime/backoff.js';
import type { Clock } from '../../../runtime/clock.js';
import type { FractoryError } from '../../../runtime/errors.js';
import type { Settle } from '../link.js';
import { nowUs } from '../receipts.js';

/** Invocations that wait to be sent again; beyond, a refusal is final. */
const MAX_WAITING = 4096;
const WAIT = { initialMs: 1, maxMs: 1000 };

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

  constructor(parts: ResenderParts) {
    this.#parts = parts;
  }

  /** `lost` hears once if it is not admitted in the end. */
  send(invocation: Invocation, lost: (error: FractoryError) => void, tries = 0): void {
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
    const waitMs = waitBefore(error, tries);
    if (
      waitMs === undefined ||
      waitMs >= invocation.budgetMs ||
      this.#waiting.size >= MAX_WAITING
    ) {
      lost(error);
      return;
    }
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
