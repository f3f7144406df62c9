import {
  alongside,
  applicationNode,
  cnn,
  join,
  map,
  math,
  onFailure,
  parallel,
  sequence,
  storage,
  withLimits,
} from '../../../applications/sdk/index.js';
import type { AnyFlow } from '../../../applications/sdk/flow/flow.js';
import { graphOf } from '../../../applications/sdk/flow/graph.js';
import { planOf } from '../../../applications/sdk/plan/plan.js';
import type { Plan } from '../../../applications/sdk/plan/plan.js';
import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { PlannedStep } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';

const read = storage.read({ client: 'ada', name: 'dog.jpg' });
const report = storage.write({ client: 'ada', name: 'report.json' });

/** Two models and a join. */
export const ensemble = sequence(
  read,
  parallel(cnn.predict({ model: 'a' }), withLimits(cnn.predict({ model: 'b' }), { retries: 1 })),
  join(math.blend()),
  report,
);

/** A map with a failure branch, and an edge that passes it. */
export const gallery = sequence(
  storage.list({ client: 'ada', as: 'names' }),
  alongside(
    map(
      onFailure(
        sequence(storage.read({ client: 'ada' }), withLimits(cnn.predict(), { timeoutMs: 500 })),
        applicationNode.explain(),
      ),
      { parallelism: 3 },
    ),
  ),
  join(applicationNode.rows({ columns: ['picture', 'prediction'] })),
  report,
);

/** What an application node with one member of each type might answer. */
export function planned(name: string, flow: AnyFlow): Plan {
  const graph = graphOf(name, flow);
  return planOf(graph, Topology.RING, { steps: stepsOf(graph, ''), budgetMs: 30_000 });
}

function stepsOf({ steps }: Graph, around: string): PlannedStep[] {
  return steps.flatMap(({ id, operation, arguments: fixed, timeoutMs, retries, map: each }) => [
    {
      ...{ step: id, operation, fixed, timeoutMs, retries, inputs: [], idempotent: true },
      members: each ? [] : [`${operation.split('.')[0] ?? ''}-1`],
      output: each ? ['list'] : ['bytes'],
      map: around,
    },
    ...(each?.graph ? stepsOf(each.graph, id) : []),
  ]);
}
