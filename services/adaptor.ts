import type { Logger } from '../runtime/logger.js';
import type { Value } from '../protos/gen/fractory/v1/value.js';
import type { ValueKind } from '../protos/values.js';
import type { KeptResult } from './content.js';

/** One argument of an operation. */
export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
  /** Kinds of value that it takes; the controller refuses others with INVALID_ARGUMENT. */
  readonly kinds: readonly ValueKind[];
  readonly required: boolean;
  /**
   * The operation takes the content as a stream (`context.stream`) and so at any size. Without it the controller pulls a memory before the operation
   * begins, and refuses one above `max_pulled_bytes`.
   */
  readonly streamed?: boolean;
}

/** What an operation is, for checks before a run and for people. */
export interface OperationSpec {
  /** Device type and verb: `storage.read`. */
  readonly name: string;
  readonly summary: string;
  /** The argument named `input`, if there is one, takes the result of the step before. */
  readonly arguments: readonly ArgumentSpec[];
  /** Kinds that it may yield. */
  readonly output: readonly ValueKind[];
  /** Doing it twice with the same arguments is the same as doing it once. */
  readonly idempotent: boolean;
}

/** Circumstances of one invocation. */
export interface InvocationContext {
  /** Aborts at the end of the budget, at a cancel and when the node stops; its reason is the error. */
  readonly signal: AbortSignal;
  /** Time left, ms. */
  readonly budgetMs: number;
  /**
   * When all that follows has to have ended, ms since 1970: how long a capability that the result carries has to last. Absent: at the end of
   * the budget.
   */
  readonly expiresAtMs?: number;
  /** Run and step, where the invocation belongs to one: the key under which effects are done once. */
  readonly step: { readonly run: string; readonly step: string } | undefined;
  readonly log: Logger;
  /**
   * The bytes of an argument in chunks, wherever they are kept: those of `toBlob` for a value that came along. Whoever reads to the end without an
   * error has the whole, verified where its hash is known.
   */
  stream(argument: Value): AsyncIterable<Uint8Array>;
}

/** What an operation yields: a value, or content that is kept for the run. */
export type OperationResult = Value | KeptResult;

/** Arguments by name: known names, right kinds and all required ones present are checked before `perform`. Only streamed ones may be memories. */
export type Arguments = ReadonlyMap<string, Value>;

/**
 * One operation of a device. `perform` may answer at once (no promise) where it takes less than a millisecond: the
 * hop then costs no turn of the event loop. It throws a FractoryError for expected failures.
 */
export interface Operation {
  readonly spec: OperationSpec;
  perform(args: Arguments, context: InvocationContext): OperationResult | Promise<OperationResult>;
}

/** Turns operations and their arguments into calls of a service, and the results into values. */
export interface Adaptor {
  /** Device type, as in the names of its operations. */
  readonly type: string;
  readonly operations: readonly Operation[];
}
