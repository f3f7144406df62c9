import type { PlannedStep as PlannedStepMessage } from '../../protos/gen/fractory/v1/application.js';
import { allSteps } from '../../services/application/graph/checked-graph.js';
import type { PlannedGraph, PlannedStep } from './plan.js';

/** What a plan tells people: which step is done where, and what its capability allows. */
export function describePlan(graph: PlannedGraph): PlannedStepMessage[] {
  return [...allSteps<PlannedStep>(graph)].map(({ step, map }) => describe(step, map));
}

function describe(
  { id, step, operation, places, incoming, map: inner }: PlannedStep,
  map: string,
): PlannedStepMessage {
  return {
    ...{ step: id, operation: step.operation, map },
    members: [...new Set(places.map(({ member }) => member.id))],
    fixed: step.arguments,
    inputs: [...new Set(incoming.map(({ argument }) => argument))],
    output: operation ? [...operation.output] : ['list'],
    idempotent: operation ? operation.idempotent : isIdempotent(inner),
    ...{ timeoutMs: step.timeoutMs, retries: step.retries },
  };
}

/** A map is what its steps are. */
function isIdempotent(graph: PlannedGraph | undefined): boolean {
  if (!graph) return true;
  return [...allSteps<PlannedStep>(graph)].every(({ step }) => step.operation?.idempotent ?? true);
}
