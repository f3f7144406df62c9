import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { Span } from '../../runtime/tracing/tracer.js';
import type { Operation } from '../../services/adaptor.js';
import type { Allowance } from './caveats.js';
import type { KernelInvocationContext } from './invocation-context.js';

/** One admitted invocation of an operation. Times are microseconds since 1970 by this node's clock. */
export interface Work {
  readonly invocation: Invocation;
  readonly operation: Operation;
  readonly allowance: Allowance;
  readonly args: Map<string, Value>;
  readonly context: KernelInvocationContext;
  readonly arrivedAtUs: number;
  /** When the budget ends, by the monotonic clock. */
  readonly deadlineMs: number;
  startedAtUs: number;
  /** A remembered result is used: the operation is not performed. */
  reused: boolean;
  /** Only where the node traces. */
  span: Span | undefined;
}

/** Performs the operation. Calls to other nodes in the course of a traced one belong to its span. */
export function perform({
  span,
  operation,
  args,
  context,
}: Work): ReturnType<Operation['perform']> {
  return span ? span.run(() => operation.perform(args, context)) : operation.perform(args, context);
}
