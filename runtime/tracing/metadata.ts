import { InterceptingCall } from '@grpc/grpc-js';
import type { Interceptor, Metadata } from '@grpc/grpc-js';

import { parseTraceparent, TRACEPARENT } from './traceparent.js';
import type { Tracer } from './tracer.js';

/** The `traceparent` that a call came with; '' if it has none or none that can be read. */
export function traceparentIn(metadata: Metadata): string {
  const [value] = metadata.get(TRACEPARENT);
  return typeof value === 'string' && parseTraceparent(value) ? value : '';
}

/** Calls to other nodes that are made in a span continue its trace. None is needed where nothing is traced. */
export function tracingInterceptors(tracer: Tracer): Interceptor[] {
  if (!tracer.enabled) return [];
  return [
    (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, listener, next) => {
          const traceparent = tracer.current();
          if (traceparent !== '') metadata.set(TRACEPARENT, traceparent);
          next(metadata, listener);
        },
      }),
  ];
}
