import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { settleOnce } from './attempt.js';
import type { Attempt } from './attempt.js';
import { compose, endNames } from './compose.js';

/** Hub-free: the whole graph travels with the first invocations; each node invokes the next, and only the ends and unhandled failures come back here. */
export const ringAttempt: Attempt = (kernel, plan, options) =>
  settleOnce(kernel, plan, options.signal, (settle) => {
    const reply = kernel.addReply(settle, endNames(plan.graph.ends));
    const { heads, maps, shared, onFailure } = compose(plan.graph, reply);
    const { attempt, deadlineMs, traceparent } = options;
    const begin = (some: readonly Uint8Array[], value: Value | undefined): (() => void) =>
      kernel.continueWith(some, value, {
        ...{ shared, onFailure: [onFailure], deadlineMs, traceparent, attempt },
      });
    const stops = [reply.revoke];
    if (heads.length > 0) stops.push(begin(heads, undefined));
    for (const { head, list } of maps) stops.push(begin([head], list));
    return () => {
      for (const stop of stops) stop();
    };
  });
