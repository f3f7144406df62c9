import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Failure, Value } from '../../../protos/gen/fractory/v1/value.js';
import { toFailure, toFractoryError } from '../../../protos/status.js';
import { failureValue, kindOf, listValue } from '../../../protos/values.js';
import type { Limits } from '../../../config/limits.js';
import type { Clock } from '../../../runtime/clock.js';
import type { FractoryError } from '../../../runtime/errors.js';
import {
  budgetExhausted,
  cancelled,
  invalidArgument,
  limitExceeded,
} from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { Outcome, ReplyPair } from '../capabilities/objects.js';
import type { Settle } from '../link.js';
import type { KernelMetrics } from '../metrics.js';
import { nowUs } from '../receipts.js';
import { nextOf } from './continuation.js';
import type { Next, Rest } from './continuation.js';
import { addReceipts, NOTHING } from './gates.js';
import { MapRun } from './map-run.js';
import type { MapOutcome } from './map-run.js';
import { Resender } from './resender.js';
import { stepIdIn } from './step-id.js';

/** The step that a result comes from: what is begun with it belongs to the step. */
export interface Origin {
  readonly run: string;
  readonly step: string;
  readonly capability: Capability;
  readonly attempt: number;
}

/** What continues does with the rest of its kernel. */
export interface ContinuerParts {
  readonly member: string;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KernelMetrics;
  dispatch(invocation: Invocation, settle: Settle): void;
  addReply(settle: (outcome: Outcome) => void, ends?: readonly string[]): ReplyPair;
  /** The elements of a list that is kept somewhere. */
  pull(value: Value, budgetMs: number, signal: AbortSignal): Promise<Value>;
  /** The value as it travels: kept by this node if it is too large. `free`: where no step owns what is kept. Throws what keeping throws. */
  travelling(
    value: Value,
    budgetMs: number,
    origin: Origin | undefined,
  ): { readonly value: Value; readonly free: (() => void) | undefined };
  /** Lets a release of the origin find what was begun; returns what undoes that. */
  register(origin: Origin, end: () => void): () => void;
}

/** A map that began here: its list may still be on its way. */
interface RunningMap {
  map: MapRun | undefined;
  /** It has ended, or was stopped: nothing of it begins any more. */
  stopped: boolean;
  /** Ends it without a word. Idempotent. */
  stop: () => void;
  /** Ends it with this error, unless it has ended. */
  fail: (error: unknown) => void;
  /** Undo what followed from its end. */
  readonly after: (() => void)[];
}

/** A failure is told even when the budget is gone; this is what the telling may take. */
export const FAILURE_BUDGET_MS = 1000;

/** Invokes what comes after a step: the next hops. No node waits for another's work to end. */
export class Continuer {
  readonly #parts: ContinuerParts;
  readonly #maps = new Set<RunningMap>();
  readonly #resender: Resender;

  constructor(parts: ContinuerParts) {
    const { clock, metrics } = parts;
    this.#parts = parts;
    this.#resender = new Resender({
      clock,
      dispatch: (invocation, settle) => {
        parts.dispatch(invocation, settle);
      },
      onRefused: ({ reason }) => {
        metrics.refused.inc({ reason });
      },
    });
  }

  /** Maps that this node drives now. */
  get maps(): number {
    return this.#maps.size;
  }

  /** Invokes all heads with a result. Returns what stops the maps that began here. */
  succeed(
    heads: readonly Uint8Array[],
    value: Value | undefined,
    rest: Rest,
    origin?: Origin,
  ): () => void {
    let stop = NOTHING;
    const sentAtUs = BigInt(nowUs());
    for (const encoded of heads) {
      const next = this.#open(encoded, value, rest, sentAtUs);
      if (next?.kind === 'invocation') this.#send(next.invocation);
      else if (next) stop = both(stop, this.#startMap(next, value, origin));
    }
    return stop;
  }

  /** Tells failure continuations. */
  fail(heads: readonly Uint8Array[], failure: Failure, rest: Rest): void {
    const value = failureValue(failure);
    const sentAtUs = BigInt(nowUs());
    const onward = { ...rest, onFailure: [] };
    for (const encoded of heads) {
      const next = this.#open(encoded, value, onward, sentAtUs);
      if (next?.kind === 'invocation') this.#send(next.invocation);
      else if (next) this.#mapFailed(next, notForMaps(next), rest.budgetMs);
    }
  }

  /** Ends what waits to be sent again and what is driven from here; with `error`, it fails with it. */
  stop(error?: FractoryError): void {
    this.#resender.stop(error);
    for (const map of [...this.#maps])
      if (error) map.fail(error);
      else map.stop();
  }

  /** A head that nobody can read fails what it belongs to. */
  #open(
    encoded: Uint8Array,
    value: Value | undefined,
    rest: Rest,
    sentAtUs: bigint,
  ): Next | undefined {
    try {
      return nextOf(encoded, value, rest, sentAtUs);
    } catch (error) {
      const { log, member } = this.#parts;
      log.warn({ err: error }, 'continuation is not readable');
      if (rest.onFailure.length > 0)
        this.fail(rest.onFailure, toFailure(error, { step: '', member }), rest);
      return undefined;
    }
  }

  #send(next: Invocation): void {
    this.#resender.send(next, (error) => {
      this.#lost(next, error);
    });
  }

  /** An invocation won't be admitted any more. */
  #lost(next: Invocation, error: FractoryError): void {
    const { log } = this.#parts;
    const owner = next.capability?.owner ?? '';
    if (next.onFailure.length === 0) {
      const facts = { owner, reason: error.reason, error: error.message };
      // Of a failure that nobody hears, the owner of the run learns by its watches and its deadline.
      if (isFailure(next)) log.debug(facts, 'failure was told to nobody');
      else log.warn(facts, 'a result was refused, and nobody is told');
    }
    const failure = toFailure(error, { step: stepIdIn(next), member: owner });
    this.fail(next.onFailure, failure, {
      ...next,
      budgetMs: Math.max(next.budgetMs, FAILURE_BUDGET_MS),
    });
  }

  #startMap(
    next: Extract<Next, { kind: 'map' }>,
    value: Value | undefined,
    origin: Origin | undefined,
  ): () => void {
    const { clock } = this.#parts;
    const begunAtMs = clock.monotonicMs();
    const leftMs = (): number => next.rest.budgetMs - (clock.monotonicMs() - begunAtMs);
    const pulling = new AbortController();
    const cleanUp = (): void => {
      running.stopped = true;
      cancelTimer();
      unregister?.();
      this.#maps.delete(running);
    };
    const running: RunningMap = {
      ...{ map: undefined, stopped: false, after: [] },
      stop: () => {
        cleanUp();
        pulling.abort(cancelled('the map was stopped'));
        running.map?.stop();
        for (const undo of running.after.splice(0)) undo();
      },
      fail: (error) => {
        if (running.stopped) return;
        running.stop();
        this.#mapFailed(next, error, leftMs());
      },
    };
    const cancelTimer = clock.schedule(next.rest.budgetMs, () => {
      running.fail(budgetExhausted('the time of the run was used up during the map'));
    });
    const unregister = origin && this.#parts.register(origin, running.stop);
    this.#maps.add(running);
    const begin = (list: Value): void => {
      if (running.stopped) return;
      const items = itemsOf(list, next, this.#parts.limits);
      running.map = this.#map({ ...next, items, origin }, leftMs, (outcome) => {
        cleanUp();
        this.#mapEnded(next, outcome, leftMs(), origin, running);
      });
      running.map.start();
    };
    try {
      if (value?.kind?.$case === 'memory')
        this.#parts.pull(value, leftMs(), pulling.signal).then(begin).catch(running.fail);
      else begin(value ?? {});
    } catch (error) {
      running.fail(error);
    }
    return running.stop;
  }

  #map(
    {
      map,
      rest,
      items,
      origin,
    }: Pick<Extract<Next, { kind: 'map' }>, 'map' | 'rest'> & {
      readonly items: readonly Value[];
      readonly origin: Origin | undefined;
    },
    leftMs: () => number,
    settle: (outcome: MapOutcome) => void,
  ): MapRun {
    const maxReceipts = this.#parts.limits.max_receipts;
    return new MapRun(
      { map, items, rest, maxReceipts, settle },
      {
        addReply: (hear, ends) => this.#parts.addReply(hear, ends),
        begin: (heads, value, itemRest) => this.succeed(heads, value, itemRest, origin),
        leftMs,
      },
    );
  }

  #mapEnded(
    next: Extract<Next, { kind: 'map' }>,
    outcome: MapOutcome,
    leftMs: number,
    origin: Origin | undefined,
    { after }: RunningMap,
  ): void {
    const receipts = [...next.rest.receipts];
    addReceipts(receipts, outcome.receipts);
    const rest = { ...next.rest, receipts, budgetMs: Math.max(1, Math.floor(leftMs)) };
    if (outcome.kind === 'failed') {
      this.fail(rest.onFailure, outcome.failure, withTimeToTell(rest));
      return;
    }
    if (outcome.kind === 'broken') {
      this.#mapFailed({ ...next, rest }, outcome.error, leftMs);
      return;
    }
    try {
      const list = listValue([...outcome.results]);
      const { value, free } = this.#parts.travelling(list, leftMs, origin);
      if (free) after.push(free);
      after.push(this.succeed(next.onSuccess, value, rest, origin));
    } catch (error) {
      this.#mapFailed({ ...next, rest }, error, leftMs);
    }
  }

  #mapFailed(next: Extract<Next, { kind: 'map' }>, error: unknown, leftMs: number): void {
    const { member } = this.#parts;
    const failure = toFailure(toFractoryError(error), { step: next.map.step, member });
    const rest = { ...next.rest, budgetMs: Math.max(1, Math.floor(leftMs)) };
    this.fail(rest.onFailure, failure, withTimeToTell(rest));
  }
}

function both(first: () => void, second: () => void): () => void {
  return () => {
    first();
    second();
  };
}

function withTimeToTell(rest: Rest): Rest {
  return { ...rest, budgetMs: Math.max(rest.budgetMs, FAILURE_BUDGET_MS) };
}

function itemsOf(
  list: Value,
  { map }: Extract<Next, { kind: 'map' }>,
  { max_map_items, max_steps }: Limits,
): readonly Value[] {
  const kind = list.kind;
  if (kind?.$case !== 'list')
    throw invalidArgument(
      `step ${map.step}, argument input`,
      `a map takes a list, found ${kindOf(list) ?? 'nothing'}`,
      'WRONG_KIND',
    );
  if (map.branches.length === 0)
    throw invalidArgument(`step ${map.step}`, 'the map has no branch', 'BAD_CONTINUATION');
  const wide = map.branches.find(({ ends }) => ends > max_steps);
  if (wide)
    throw limitExceeded('max_steps', wide.ends, max_steps, { what: 'the ends of an element' });
  const { values } = kind.value;
  if (values.length > max_map_items)
    throw limitExceeded('max_map_items', values.length, max_map_items);
  return values;
}

function notForMaps({ map }: Extract<Next, { kind: 'map' }>): FractoryError {
  return invalidArgument(
    `step ${map.step}, argument input`,
    'a map takes a list, found failure',
    'WRONG_KIND',
  );
}

function isFailure({ arguments: [first] }: Invocation): boolean {
  return kindOf(first?.value) === 'failure';
}
