import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { kindOf } from '../../protos/values.js';
import type { Span } from '../../runtime/tracing/tracer.js';
import type { ArgumentSpec, Operation } from '../../services/adaptor.js';
import type { Allowance } from './capabilities/caveats.js';
import type { KernelInvocationContext } from './invocation-context.js';

/** One admitted invocation of an operation. Times are microseconds since 1970 by this node's clock. */
export interface Work {
  readonly invocation: Invocation;
  readonly operation: Operation;
  readonly allowance: Allowance;
  readonly args: Map<string, Value>;
  /** Of the present try. */
  context: KernelInvocationContext;
  readonly arrivedAtUs: number;
  /** When the budget ends, by the monotonic clock. */
  readonly deadlineMs: number;
  startedAtUs: number;
  /** Time that it took to pull arguments. */
  pullUs: number;
  /** Bytes of the result that this node keeps. */
  heldBytes: number;
  /** Times that the operation was tried, if more than once. */
  tries: number;
  /** A remembered result is used: the operation is not performed. */
  reused: boolean;
  /** The run needs it no more: its end is told to nobody. */
  released: boolean;
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

/** Names of arguments whose bytes must be fetched before the operation can begin. */
export function argumentsToPull({ operation, args }: Work): string[] {
  const names: string[] = [];
  for (const [name, value] of args) {
    const kind = value.kind?.$case;
    if (kind !== 'memory' && kind !== 'list') continue;
    const spec = operation.spec.arguments.find((argument) => argument.name === name);
    if (!isStreamed(spec, value) && holdsMemory(value)) names.push(name);
  }
  return names;
}

/** A stream brings the bytes of a value; those of tensors and lists mean nothing without their form. */
function isStreamed(spec: ArgumentSpec | undefined, value: Value): boolean {
  if (spec?.streamed !== true || value.kind?.$case !== 'memory') return false;
  const kind = kindOf(value);
  return kind === 'bytes' || kind === 'text' || kind === 'integer';
}

function holdsMemory(value: Value): boolean {
  if (value.kind?.$case === 'memory') return true;
  return value.kind?.$case === 'list' && value.kind.value.values.some(holdsMemory);
}
