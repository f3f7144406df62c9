import { status } from '@grpc/grpc-js';

import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure, toFractoryError } from '../../protos/status.js';
import { failureValue, kindOf, sizeOf } from '../../protos/values.js';
import type { Limits } from '../../config/limits.js';
import type { Clock } from '../../runtime/clock.js';
import {
  budgetExhausted,
  FractoryError,
  invalidArgument,
  limitExceeded,
  unavailable,
} from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { noTracer } from '../../runtime/tracing/tracer.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import type { Operation } from '../../services/adaptor.js';
import { checkArguments, mergeArguments } from './argument-check.js';
import { allowanceOf, denied } from './caveats.js';
import type { Allowance } from './caveats.js';
import { nextInvocation } from './continuation.js';
import type { Rest } from './continuation.js';
import type { MemberKey } from './directory.js';
import { KernelInvocationContext } from './invocation-context.js';
import type { Settle } from './link.js';
import { LocalQueue } from './local-queue.js';
import type { KernelMetrics } from './metrics.js';
import type { ObjectTable, RequestObject } from './objects.js';
import { encodeReceipt, nowUs } from './receipts.js';
import { RememberedResults, resultKey } from './remembered-results.js';
import { endStep, startStep } from './spans.js';
import { perform } from './work.js';
import type { Work } from './work.js';

/** Sends invocations to other controllers. */
export interface Carrier {
  invoke(owner: MemberKey, invocation: Invocation, settle: Settle): void;
}

export interface KernelOptions {
  readonly member: string;
  readonly objects: ObjectTable;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KernelMetrics;
  /** Throws NOT_LEADER where only the leader may serve and this member is not. */
  readonly checkLeadership: () => void;
  /** Default: steps are not traced. */
  readonly tracer?: Tracer;
}

/**
 * The trusted part of a controller: admits invocations, runs the operation, and invokes what comes next. No node waits for another's
 * work to end. Checks come in this order: epoch, tag, liveness, caveats, arguments, queue room.
 */
export class Kernel {
  readonly #options: KernelOptions;
  readonly #tracer: Tracer;
  readonly #results: RememberedResults;
  readonly #stopping = new AbortController();
  readonly #local = new LocalQueue();
  #carrier: Carrier | undefined;
  #running = 0;
  #idle: (() => void) | undefined;

  constructor(options: KernelOptions) {
    this.#options = options;
    this.#tracer = options.tracer ?? noTracer;
    const { max_remembered_results, max_remembered_bytes } = options.limits;
    this.#results = new RememberedResults(max_remembered_results, max_remembered_bytes);
  }

  /** Connects the kernel with the links; once, before the first invocation. */
  attach(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  /** Operations under way. */
  get running(): number {
    return this.#running;
  }

  /** Checks an invocation and starts it; throws if it is not admitted. The result goes to its continuations. */
  admit(invocation: Invocation): void {
    const arrivedAtUs = nowUs();
    const { objects, limits, metrics } = this.#options;
    if (!invocation.capability) throw denied('the invocation has no capability');
    if (invocation.capability.caveats.length > limits.max_caveats)
      throw limitExceeded('max_caveats', invocation.capability.caveats.length, limits.max_caveats);
    const object = objects.open(invocation.capability);
    const allowance = allowanceOf(invocation.capability.caveats);
    this.#checkExpiry(allowance);
    const args = mergeArguments(allowance.bound, invocation.arguments);
    if (object.kind === 'reply') {
      this.#reply(object, args, invocation);
      return;
    }
    this.#options.checkLeadership();
    checkArguments(object.operation.spec, args);
    this.#checkRoom(invocation);
    metrics.admittedOf(object.operation.spec.name).inc();
    const work = this.#work(invocation, object.operation, allowance, args, arrivedAtUs);
    if (this.#tracer.enabled) work.span = startStep(this.#tracer, this.#options.member, work);
    this.#start(work);
  }

  /** Sends an invocation to the owner of its capability, which may be this member. `settle` hears whether it was admitted. */
  dispatch(invocation: Invocation, settle: Settle): void {
    const { capability } = invocation;
    if (!capability) {
      settle(denied('the invocation has no capability'));
      return;
    }
    if (capability.owner === this.#options.member) this.#enqueueLocal(invocation, settle);
    else if (this.#carrier)
      this.#carrier.invoke({ id: capability.owner, epoch: capability.epoch }, invocation, settle);
    else settle(unavailable('NODE_STARTING', 'the node is starting'));
  }

  /** Aborts what is running after the grace period; resolves when nothing runs. */
  async stop(graceMs: number): Promise<void> {
    if (this.#running > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      const cancel = this.#options.clock.schedule(graceMs, () => {
        this.#stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
        this.#idle?.();
      });
      await idle;
      cancel();
    }
    this.#stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
  }

  #work(
    invocation: Invocation,
    operation: Operation,
    allowance: Allowance,
    args: Map<string, Value>,
    arrivedAtUs: number,
  ): Work {
    const { limits, log } = this.#options;
    const budgetMs = Math.min(
      invocation.budgetMs || limits.default_budget_ms,
      limits.max_budget_ms,
    );
    const context = new KernelInvocationContext(
      budgetMs,
      allowance.step,
      log,
      this.#stopping.signal,
    );
    const deadlineMs = this.#options.clock.monotonicMs() + budgetMs;
    return {
      invocation,
      operation,
      allowance,
      args,
      context,
      arrivedAtUs,
      deadlineMs,
      startedAtUs: arrivedAtUs,
      reused: false,
      span: undefined,
    };
  }

  #checkExpiry({ expiresAtMs }: Allowance): void {
    const now = this.#options.clock.now();
    if (expiresAtMs !== undefined && now >= expiresAtMs)
      throw new FractoryError(
        status.PERMISSION_DENIED,
        'CAPABILITY_EXPIRED',
        `the capability expired ${String(now - expiresAtMs)} ms ago`,
      );
  }

  #checkRoom(invocation: Invocation): void {
    const { limits } = this.#options;
    if (invocation.hops > limits.max_hops)
      throw limitExceeded('max_hops', invocation.hops, limits.max_hops);
    if (this.#running >= limits.max_invocations)
      throw limitExceeded('max_invocations', this.#running, limits.max_invocations, {
        retryAfterMs: 100,
      });
    if (this.#stopping.signal.aborted) throw unavailable('NODE_STOPPING', 'the node is stopping');
  }

  #start(work: Work): void {
    const remembered = work.allowance.step && this.#recall(work);
    if (remembered) {
      work.reused = true;
      this.#succeed(work, remembered);
      return;
    }
    this.#running++;
    work.startedAtUs = nowUs();
    try {
      const result = perform(work);
      if (!(result instanceof Promise)) {
        this.#succeed(work, result);
        this.#ended(work);
        return;
      }
      result
        .then(
          (value) => {
            this.#remember(work, value);
            this.#succeed(work, value);
          },
          (error: unknown) => {
            this.#fail(work, error);
          },
        )
        .finally(() => {
          this.#ended(work);
        });
    } catch (error) {
      this.#fail(work, error);
      this.#ended(work);
    }
  }

  #ended(work: Work): void {
    work.context.end();
    this.#running--;
    if (this.#running === 0) this.#idle?.();
  }

  #recall({ allowance, invocation }: Work): Value | undefined {
    const step = allowance.step;
    if (!step || !invocation.capability || this.#results.size === 0) return undefined;
    return this.#results.get(resultKey(step.run, step.step, invocation.capability.tag));
  }

  /** Only what took a promise is remembered: what answers at once is done again for less. */
  #remember({ allowance, invocation }: Work, value: Value): void {
    const step = allowance.step;
    if (!step || !invocation.capability) return;
    this.#results.set(resultKey(step.run, step.step, invocation.capability.tag), value);
  }

  #succeed(work: Work, value: Value): void {
    const { limits, clock } = this.#options;
    const bytes = sizeOf(value);
    if (bytes > limits.inline_limit_bytes) {
      const what = `the result of ${work.operation.spec.name} in bytes`;
      this.#fail(
        work,
        limitExceeded('inline_limit_bytes', bytes, limits.inline_limit_bytes, { what }),
      );
      return;
    }
    const leftMs = work.deadlineMs - clock.monotonicMs();
    if (leftMs <= 0 && work.invocation.onSuccess.length > 0) {
      this.#fail(work, budgetExhausted('the time of the run was used up before the next step'));
      return;
    }
    if (work.span) endStep(work.span, { ...work, result: value });
    const rest = this.#rest(work, bytes, leftMs);
    const sentAtUs = BigInt(nowUs());
    for (const encoded of work.invocation.onSuccess) {
      const next = this.#open(encoded, value, rest, sentAtUs);
      if (next)
        this.dispatch(next, (error) => {
          if (error) this.#refused(next, error);
        });
      else this.#fail(work, invalidArgument('on_success', 'is not readable', 'BAD_CONTINUATION'));
    }
  }

  /** The next invocation; undefined, and a line in the log, where a client sent bytes that are no continuation. */
  #open(encoded: Uint8Array, value: Value, rest: Rest, sentAtUs: bigint): Invocation | undefined {
    try {
      return nextInvocation(encoded, value, rest, sentAtUs);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'continuation is not readable');
      return undefined;
    }
  }

  #fail(work: Work, thrown: unknown): void {
    const { member, log, metrics } = this.#options;
    const error = toFractoryError(thrown);
    if (work.span) endStep(work.span, { ...work, error });
    const operation = work.operation.spec.name;
    metrics.failed.inc({ operation, reason: error.reason });
    if (error.code === status.INTERNAL) log.error({ err: thrown, operation }, 'operation failed');
    const failure = toFailure(error, { step: work.allowance.step?.step ?? operation, member });
    const leftMs = work.deadlineMs - this.#options.clock.monotonicMs();
    const rest = this.#rest(work, 0, Math.max(leftMs, FAILURE_BUDGET_MS));
    this.#continueWithFailure(work.invocation.onFailure, failureValue(failure), rest);
  }

  /** The owner of a continuation did not admit it: the failure continuations hear of it instead. */
  #refused(next: Invocation, error: FractoryError): void {
    const { log, metrics } = this.#options;
    metrics.refused.inc({ reason: error.reason });
    const owner = next.capability?.owner ?? '';
    const failure = toFailure(error, { step: stepOf(next), member: owner });
    if (next.onFailure.length === 0)
      log.warn({ owner, reason: error.reason, error: error.message }, 'continuation lost');
    this.#continueWithFailure(next.onFailure, failureValue(failure), {
      ...next,
      budgetMs: Math.max(next.budgetMs, FAILURE_BUDGET_MS),
      onFailure: [],
    });
  }

  #continueWithFailure(continuations: readonly Uint8Array[], value: Value, rest: Rest): void {
    const { log } = this.#options;
    const sentAtUs = BigInt(nowUs());
    for (const encoded of continuations) {
      const next = this.#open(encoded, value, { ...rest, onFailure: [] }, sentAtUs);
      if (!next) continue;
      this.dispatch(next, (error) => {
        // Nobody is left who could be told: the owner of the run watches its members and its deadline.
        if (error)
          log.debug(
            { owner: next.capability?.owner, reason: error.reason },
            'failure continuation lost',
          );
      });
    }
  }

  #rest(work: Work, bytesOut: number, leftMs: number): Rest {
    const { invocation } = work;
    return {
      onFailure: invocation.onFailure,
      receipts: [...invocation.receipts, this.#receipt(work, bytesOut)],
      hops: invocation.hops,
      budgetMs: Math.max(1, Math.floor(leftMs)),
      traceparent: invocation.traceparent,
    };
  }

  #receipt(work: Work, bytesOut: number): Uint8Array {
    const { member, objects, metrics } = this.#options;
    const computeUs = work.reused ? 0 : nowUs() - work.startedAtUs;
    metrics.computeOf(work.operation.spec.name).observe(computeUs / 1e6);
    return encodeReceipt(work, { member, epoch: objects.epoch }, computeUs, bytesOut);
  }

  #reply(
    object: Extract<RequestObject, { kind: 'reply' }>,
    args: ReadonlyMap<string, Value>,
    { receipts }: Invocation,
  ): void {
    const [value] = args.values();
    const { objects, member } = this.#options;
    if (object.outcome === 'succeeded' && value && args.size === 1 && kindOf(value) !== 'failure')
      objects.consume(object, { kind: 'succeeded', result: value, receipts });
    else if (object.outcome === 'failed' && value?.kind?.$case === 'failure')
      objects.consume(object, { kind: 'failed', failure: value.kind.value, receipts });
    else throw denied(`the reply at ${member} takes one value: a result or a failure`);
  }

  #enqueueLocal(invocation: Invocation, settle: Settle): void {
    this.#local.push(() => {
      try {
        this.admit(invocation);
      } catch (error) {
        settle(toFractoryError(error));
        return;
      }
      settle();
    });
  }
}

/** A failure is told even when the budget is gone; this is what the telling may take. */
const FAILURE_BUDGET_MS = 1000;

function stepOf({ capability }: Invocation): string {
  try {
    return allowanceOf(capability?.caveats ?? []).step?.step ?? '';
  } catch {
    return '';
  }
}
