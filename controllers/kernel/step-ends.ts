import { status } from '@grpc/grpc-js';

import type { Limits } from '../../config/limits.js';
import type { Failure, Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure, toFractoryError } from '../../protos/status.js';
import { contentBytesOf } from '../../protos/values.js';
import type { Clock } from '../../runtime/clock.js';
import { budgetExhausted } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Rest } from './graph/continuation.js';
import { FAILURE_BUDGET_MS } from './graph/continuer.js';
import type { Continuer, Origin } from './graph/continuer.js';
import { stepIdOf } from './graph/step-id.js';
import type { KernelMetrics } from './metrics.js';
import { encodeReceipt, nowUs } from './receipts.js';
import { endStep } from './spans.js';
import type { Work } from './work.js';

export interface StepEndParts {
  readonly member: string;
  readonly epoch: () => bigint;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KernelMetrics;
  readonly continuer: Continuer;
}

/** What follows from the end of a step: its receipt, its metrics and span, and the invocation of what comes next. */
export class StepEnds {
  readonly #parts: StepEndParts;

  constructor(parts: StepEndParts) {
    this.#parts = parts;
  }

  /** Invokes what comes next with the result. Where no time is left for it, that is the failure. */
  succeed(work: Work, value: Value): void {
    const { invocation } = work;
    const leftMs = work.deadlineMs - this.#parts.clock.monotonicMs();
    if (leftMs <= 0 && invocation.onSuccess.length > 0) {
      this.fail(work, budgetExhausted('the time of the run was used up before the next step'));
      return;
    }
    if (work.span) endStep(work.span, { ...work, result: value });
    const rest = this.#rest(work, contentBytesOf(value), leftMs);
    this.#parts.continuer.succeed(invocation.onSuccess, value, rest, originOf(work));
  }

  /** Tells whoever waits for the step, unless the run needs it no more. */
  fail(work: Work, thrown: unknown): void {
    const { member, log, metrics, continuer, clock } = this.#parts;
    const error = toFractoryError(thrown);
    if (work.span) endStep(work.span, { ...work, error });
    const operation = work.operation.spec.name;
    metrics.failed.inc({ operation, reason: error.reason });
    if (error.code === status.INTERNAL) log.error({ err: thrown, operation }, 'operation failed');
    if (work.released) return;
    if (work.invocation.onFailure.length === 0)
      log.warn({ operation, reason: error.reason, error: error.message }, 'nobody is told');
    const leftMs = work.deadlineMs - clock.monotonicMs();
    const rest = this.#rest(work, 0, Math.max(leftMs, FAILURE_BUDGET_MS));
    const step = stepIdOf(work.allowance) ?? operation;
    const failure: Failure = toFailure(error, { step, member });
    continuer.fail(work.invocation.onFailure, failure, rest);
  }

  #rest(work: Work, bytesOut: number, leftMs: number): Rest {
    const { onFailure, shared, hops, traceparent, attempt } = work.invocation;
    const receipts = this.#receipts(work, bytesOut);
    const budgetMs = Math.max(1, Math.floor(leftMs));
    return { onFailure, shared, receipts, hops, budgetMs, traceparent, attempt };
  }

  #receipts(work: Work, bytesOut: number): readonly Uint8Array[] {
    const { member, epoch, metrics, limits } = this.#parts;
    const computeUs = work.reused ? 0 : Math.max(0, nowUs() - work.startedAtUs - work.pullUs);
    metrics.computeOf(work.operation.spec.name).observe(computeUs / 1e6);
    const { receipts } = work.invocation;
    if (receipts.length >= limits.max_receipts) return receipts;
    return [...receipts, encodeReceipt(work, { member, epoch: epoch() }, computeUs, bytesOut)];
  }
}

function originOf({ allowance: { step }, invocation }: Work): Origin | undefined {
  const { capability, attempt } = invocation;
  return step && capability ? { run: step.run, step: step.step, capability, attempt } : undefined;
}
