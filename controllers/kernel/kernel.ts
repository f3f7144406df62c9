import type { StepScope } from '../../protos/gen/fractory/v1/caveat.js';
import type { Invocation, Release } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { toFractoryError } from '../../protos/status.js';
import { kindOf } from '../../protos/values.js';
import type { Limits } from '../../config/limits.js';
import type { Clock } from '../../runtime/clock.js';
import { withDeadline } from '../../runtime/deadline.js';
import { limitExceeded, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { noTracer } from '../../runtime/tracing/tracer.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import type { Operation } from '../../services/adaptor.js';
import { checkArguments, mergeArguments } from './argument-check.js';
import { denied } from './capabilities/caveats.js';
import type { Allowance } from './capabilities/caveats.js';
import type { ObjectTable, ReplyObject } from './capabilities/objects.js';
import { RIGHT_INVOKE } from './capabilities/token.js';
import type { Beginning } from './device.js';
import type { MemberKey } from './directory.js';
import { Activities } from './graph/activities.js';
import { Continuer } from './graph/continuer.js';
import { Gatekeeper } from './graph/gatekeeper.js';
import { releasedStep, ReleasedSteps } from './graph/released.js';
import { stepIdOf } from './graph/step-id.js';
import { KernelInvocationContext } from './invocation-context.js';
import type { Settle } from './link.js';
import { LocalQueue } from './local-queue.js';
import type { MemoryAccess } from './memory/access.js';
import type { KernelMetrics } from './metrics.js';
import { nowUs } from './receipts.js';
import { Results } from './results.js';
import { startStep } from './spans.js';
import { StepRunner } from './step-runner.js';
import type { Work } from './work.js';

/** Sends invocations and releases to other controllers. */
export interface Carrier {
  invoke(owner: MemberKey, invocation: Invocation, settle: Settle): void;
  release(member: MemberKey, release: Release): void;
}

export interface KernelOptions {
  readonly member: string;
  readonly objects: ObjectTable;
  readonly memory: MemoryAccess;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KernelMetrics;
  /** Throws NOT_LEADER where only the leader may serve and this member is not. */
  readonly checkLeadership: () => void;
  /** Default: steps are not traced. */
  readonly tracer?: Tracer;
}

/** Joins that have begun are remembered until their runs end: so many for each of `max_invocations`. */
const GATES_FOR_EACH_INVOCATION = 16;

/** What a kernel holds at a moment. All are 0 when no run needs anything of it. */
export interface KernelCounts {
  readonly running: number;
  readonly gates: number;
  readonly maps: number;
  /** What a release would find: work, gates, maps and kept results of steps. */
  readonly activities: number;
}

/**
 * The trusted part of a controller: admits invocations, has their operations performed, and invokes what comes next. Checks come in this
 * order: epoch, tag, liveness, caveats, arguments, queue room.
 */
export class Kernel {
  readonly #options: KernelOptions;
  readonly #tracer: Tracer;
  readonly #activities = new Activities();
  readonly #released = new ReleasedSteps();
  readonly #gates: Gatekeeper;
  readonly #continuer: Continuer;
  readonly #steps: StepRunner;
  readonly #stopping = new AbortController();
  readonly #local = new LocalQueue();
  #carrier: Carrier | undefined;

  constructor(options: KernelOptions) {
    const { member, limits, clock, log, metrics, memory, objects } = options;
    const activities = this.#activities;
    const results = new Results(memory, limits.inline_limit_bytes);
    this.#options = options;
    this.#tracer = options.tracer ?? noTracer;
    this.#continuer = new Continuer({
      ...{ member, limits, clock, log, metrics },
      dispatch: (invocation, settle) => {
        this.dispatch(invocation, settle);
      },
      addReply: (settle, ends) => objects.addReply(settle, ends),
      pull: (value, budgetMs, signal) =>
        withDeadline(
          ...[Math.max(1, Math.ceil(budgetMs)), 'pulling a list'],
          (whole) => memory.pull(value, { maxBytes: limits.max_pulled_bytes, signal: whole }),
          signal,
        ),
      travelling: (value, leaseMs, origin) => {
        const client = origin ? `run ${origin.run}` : 'invocations';
        const { value: travelling, kept } = results.travelling(value, { client, leaseMs });
        const free = (): void => kept?.free();
        if (kept && origin)
          kept.onFreed(
            activities.add(origin.run, origin.step, {
              ...{ capability: origin.capability, attempt: origin.attempt, isResult: true },
              end: free,
            }),
          );
        return { value: travelling, free: kept && !origin ? free : undefined };
      },
      register: ({ run, step, capability, attempt }, end) =>
        activities.add(run, step, { capability, attempt, isResult: false, end }),
    });
    this.#gates = new Gatekeeper({ member, clock, activities, continuer: this.#continuer });
    this.#steps = new StepRunner({
      ...{ member, limits, clock, log, metrics, memory, results, activities },
      ...{ continuer: this.#continuer, stopping: this.#stopping.signal },
      epoch: () => objects.epoch,
    });
  }

  /** Connects the kernel with the links; once, before the first invocation. */
  attach(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  /** Operations under way. */
  get running(): number {
    return this.#steps.running;
  }

  get counts(): KernelCounts {
    return {
      running: this.#steps.running,
      gates: this.#gates.size,
      maps: this.#continuer.maps,
      activities: this.#activities.size,
    };
  }

  /** Checks an invocation and starts it; throws if it is not admitted. The result goes to its continuations. */
  admit(invocation: Invocation): void {
    const arrivedAtUs = nowUs();
    const { objects, limits } = this.#options;
    const { capability } = invocation;
    if (!capability) throw denied('the invocation has no capability');
    if (capability.caveats.length > limits.max_caveats)
      throw limitExceeded('max_caveats', capability.caveats.length, limits.max_caveats);
    const { object, allowance } = objects.use(capability, RIGHT_INVOKE);
    if (object.kind === 'reply') {
      this.#reply(object, invocation);
      return;
    }
    if (object.kind !== 'operation') throw denied('a memory can be read and written, not invoked');
    this.#options.checkLeadership();
    const { gate, step } = allowance;
    if (step && this.#released.has(step, capability, invocation.attempt)) throw releasedStep();
    const ready = gate ? this.#pass(invocation, allowance, gate) : invocation;
    if (ready) this.#start(ready, object.operation, allowance, arrivedAtUs);
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

  /** Invokes heads that follow from no step here; returns what stops the maps among them. */
  continueWith(
    heads: readonly Uint8Array[],
    value: Value | undefined,
    beginning: Beginning,
  ): () => void {
    const { shared, onFailure, deadlineMs, traceparent, attempt } = beginning;
    const budgetMs = Math.max(1, Math.floor(deadlineMs - this.#options.clock.now()));
    const rest = { shared, onFailure, traceparent, attempt, budgetMs, receipts: [], hops: -1 };
    return this.#continuer.succeed(heads, value, rest);
  }

  /** A run needs steps of this member no more. Capabilities that are not genuine are passed over. */
  release({ capabilities, attempt, ended }: Release): void {
    const { objects, clock, log, limits } = this.#options;
    const reason = releasedStep();
    for (const capability of capabilities) {
      if (capability.caveats.length > limits.max_caveats) continue;
      try {
        const { step } = objects.use(capability, RIGHT_INVOKE).allowance;
        if (!step) continue;
        this.#released.add(step, capability, attempt, clock.now());
        this.#activities.release(step, capability, { attempt, ended }, reason);
        if (ended) this.#steps.forget(step, capability);
      } catch (error) {
        log.debug({ err: error }, 'release of a step was passed over');
      }
    }
  }

  /** The same for another member. */
  sendRelease(member: MemberKey, release: Release): void {
    if (member.id === this.#options.member) this.release(release);
    else this.#carrier?.release(member, release);
  }

  /** The node begins a new life: nobody can ask for anything of the one before. */
  reset(): void {
    this.#continuer.stop();
    this.#gates.clear();
    this.#activities.endAll(unavailable('STALE_OWNER', 'the node registered again'));
    this.#released.clear();
    this.#steps.reset();
  }

  /** Aborts what is running after the grace period; resolves when nothing runs. */
  async stop(graceMs: number): Promise<void> {
    const stopping = unavailable('NODE_STOPPING', 'the node is stopping');
    let cancel = (): void => undefined;
    const grace = new Promise<void>((resolve) => {
      cancel = this.#options.clock.schedule(graceMs, resolve);
    });
    await Promise.race([this.#steps.whenIdle(), grace]);
    cancel();
    this.#stopping.abort(stopping);
    this.#continuer.stop(stopping);
    this.#gates.clear(stopping);
  }

  #pass(
    invocation: Invocation,
    allowance: Allowance,
    inputs: readonly string[],
  ): Invocation | undefined {
    this.#checkRoom(invocation);
    const most = this.#options.limits.max_invocations * GATES_FOR_EACH_INVOCATION;
    if (this.#gates.size >= most)
      throw limitExceeded('max_invocations', this.#gates.size, most, {
        ...{ what: 'the number of joins', retryAfterMs: 100 },
      });
    const budgetMs = this.#budgetOf(invocation);
    return this.#gates.pass({ ...invocation, budgetMs }, allowance, inputs);
  }

  #budgetOf({ budgetMs }: Invocation): number {
    const { default_budget_ms, max_budget_ms } = this.#options.limits;
    return Math.min(budgetMs || default_budget_ms, max_budget_ms);
  }

  #start(
    invocation: Invocation,
    operation: Operation,
    allowance: Allowance,
    arrivedAtUs: number,
  ): void {
    const args = mergeArguments(allowance.bound, invocation.arguments);
    checkArguments(operation.spec, args);
    if (!allowance.gate) this.#checkRoom(invocation);
    this.#options.metrics.admittedOf(operation.spec.name).inc();
    const work = this.#work(invocation, operation, allowance, args, arrivedAtUs);
    if (this.#tracer.enabled) work.span = startStep(this.#tracer, this.#options.member, work);
    this.#steps.start(work);
  }

  #work(
    invocation: Invocation,
    operation: Operation,
    allowance: Allowance,
    args: Map<string, Value>,
    arrivedAtUs: number,
  ): Work {
    const { log, clock, memory } = this.#options;
    const budgetMs = this.#budgetOf(invocation);
    const context = new KernelInvocationContext({
      budgetMs,
      timeoutMs: allowance.timeoutMs,
      log,
      memory,
      step: scopeOf(allowance),
      stopping: this.#stopping.signal,
    });
    // Written out: a spread costs a hop a microsecond.
    return {
      invocation,
      operation,
      allowance,
      args,
      context,
      arrivedAtUs,
      deadlineMs: clock.monotonicMs() + budgetMs,
      startedAtUs: arrivedAtUs,
      pullUs: 0,
      heldBytes: 0,
      tries: 0,
      reused: false,
      released: false,
      span: undefined,
    };
  }

  #checkRoom(invocation: Invocation): void {
    const { limits } = this.#options;
    if (invocation.hops > limits.max_hops)
      throw limitExceeded('max_hops', invocation.hops, limits.max_hops);
    const held = this.#steps.running + this.#gates.waiting;
    if (held >= limits.max_invocations)
      throw limitExceeded('max_invocations', held, limits.max_invocations, { retryAfterMs: 100 });
    if (this.#stopping.signal.aborted) throw unavailable('NODE_STOPPING', 'the node is stopping');
  }

  #reply(reply: ReplyObject, { arguments: args, receipts }: Invocation): void {
    const { objects, member } = this.#options;
    const [argument] = args;
    const value = argument?.value;
    if (!argument || !value?.kind || args.length !== 1)
      throw denied(`the reply at ${member} takes one value: a result or a failure`);
    const isFailure = kindOf(value) === 'failure';
    if (reply.outcome === 'succeeded' && !isFailure)
      objects.settleReply(reply, argument.name, value, receipts);
    else if (reply.outcome === 'failed' && value.kind.$case === 'failure')
      objects.consume(reply, { kind: 'failed', failure: value.kind.value, receipts });
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

/** The key under which effects are done once: items of maps are steps of their own. */
function scopeOf(allowance: Allowance): StepScope | undefined {
  const { step, items } = allowance;
  if (!step || items.length === 0) return step;
  return { run: step.run, step: stepIdOf(allowance) ?? step.step };
}
