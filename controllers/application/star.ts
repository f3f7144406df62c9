import { settleOnce } from './attempt.js';
import type { Attempt } from './attempt.js';
import { Hub } from './hub.js';
import { StarGraph } from './star-graph.js';

/**
 * For comparison: every result returns here, and the next steps are invoked from here, as many at a time as the graph allows. Same links, same checks,
 * same rule for what travels inside an invocation.
 */
export const starAttempt: Attempt = (kernel, plan, options) =>
  settleOnce(kernel, plan, options.signal, (settle) => {
    const hub = new Hub(kernel, options);
    const star = new StarGraph(hub, plan.graph, { items: [], variant: 0 }, (outcome) => {
      const receipts = hub.receipts;
      if (outcome.kind === 'succeeded')
        settle({ kind: 'succeeded', result: outcome.value, receipts });
      else settle({ kind: 'failed', failure: outcome.failure, receipts });
    });
    star.start();
    return () => {
      star.stop();
      hub.close();
    };
  });
