import { status } from '@grpc/grpc-js';
import type { Metadata } from '@grpc/grpc-js';

import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { sizeOf } from '../../protos/values.js';
import type { FractoryError } from '../../runtime/errors.js';
import { traceparentIn } from '../../runtime/tracing/metadata.js';
import type { Span, Tracer } from '../../runtime/tracing/tracer.js';
import type { Arguments, InvocationContext } from '../../services/adaptor.js';
import type { CallContext } from './calls.js';

/*
 * What the kernel says of itself in traces. All steps of a run are children of the run's span, whichever node does them: its `traceparent`
 * goes through all invocations unchanged, so a hop costs nothing for it, ring and star look alike, and a node that traces nothing or dies
 * leaves no hole under which the next steps would hang. Their order is in their times.
 */

/** The span of one step, from its arrival. Call it only where the tracer is enabled. */
export function startStep(
  tracer: Tracer,
  member: string,
  work: {
    readonly invocation: Invocation;
    readonly operation: { readonly spec: { readonly name: string } };
    readonly context: InvocationContext;
    readonly arrivedAtUs: number;
  },
): Span {
  const { step } = work.context;
  return tracer.start({
    name: work.operation.spec.name,
    kind: 'internal',
    parent: work.invocation.traceparent,
    startedAtUs: work.arrivedAtUs,
    attributes: {
      'fractory.member': member,
      'fractory.run': step?.run ?? '',
      'fractory.step': step?.step ?? '',
    },
  });
}

export interface StepEnd {
  readonly args: Arguments;
  readonly reused: boolean;
  readonly result?: Value;
  readonly error?: FractoryError;
}

export function endStep(span: Span, { args, reused, result, error }: StepEnd): void {
  let bytesIn = 0;
  for (const value of args.values()) bytesIn += sizeOf(value);
  span.end({
    attributes: {
      'fractory.bytes_in': bytesIn,
      'fractory.bytes_out': result ? sizeOf(result) : 0,
      'fractory.reused': reused,
    },
    ...(error ? { failure: error } : {}),
  });
}

/** The span of one call of a typed service, `package.Service/Method`. Call it only where the tracer is enabled. */
export function startCall(tracer: Tracer, method: string, metadata: Metadata): Span {
  return tracer.start({
    name: method,
    kind: 'server',
    parent: traceparentIn(metadata),
    attributes: { 'rpc.system.name': 'grpc', 'rpc.method': method },
  });
}

/** Where the trace of a call goes on: its own span, or, on a node that doesn't trace, what the caller sent; '' = no trace. */
export function traceparentOf({ traceparent, metadata }: CallContext): string {
  return traceparent ?? traceparentIn(metadata);
}

/** Codes for which the server is to blame, by OpenTelemetry's conventions for gRPC. */
const SERVER_ERRORS: ReadonlySet<string> = new Set(
  [
    status.UNKNOWN,
    status.DEADLINE_EXCEEDED,
    status.UNIMPLEMENTED,
    status.INTERNAL,
    status.UNAVAILABLE,
    status.DATA_LOSS,
  ].map((code) => status[code]),
);

/** `code`: name of the status, such as NOT_FOUND. */
export function endCall(span: Span, code: string, message: string): void {
  span.end({
    attributes: { 'rpc.response.status_code': code },
    ...(SERVER_ERRORS.has(code) ? { failure: { reason: code, message } } : {}),
  });
}
