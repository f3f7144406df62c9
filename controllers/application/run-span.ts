import { Topology } from '../../protos/gen/fractory/v1/application.js';
import { noSpan } from '../../runtime/tracing/tracer.js';
import type { Span, Tracer } from '../../runtime/tracing/tracer.js';
import type { RunOptions } from '../../services/application/run-record.js';
import type { Outcome } from '../kernel/capabilities/objects.js';

/** The span of a whole run, under which its steps stand. */
export function startRun(
  tracer: Tracer,
  { id, graph, topology }: RunOptions,
  parent: string,
): Span {
  if (!tracer.enabled) return noSpan;
  return tracer.start({
    name: graph.name === '' ? 'run' : `run ${graph.name}`,
    kind: 'internal',
    parent,
    attributes: {
      'fractory.run': id,
      'fractory.graph': graph.name,
      'fractory.steps': graph.steps.length,
      'fractory.topology': topology === Topology.STAR ? 'star' : 'ring',
    },
  });
}

export function endRun(span: Span, outcome: Outcome, attempts: number): void {
  span.end({
    attributes: { 'fractory.attempts': attempts },
    ...(outcome.kind === 'failed' ? { failure: outcome.failure } : {}),
  });
}
