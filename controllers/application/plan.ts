import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import type { OperationDescription } from '../../protos/gen/fractory/v1/operation.js';
import { checkSteps, orderSteps, typeOf } from '../../services/application/graph-check.js';
import type { SequencedStep } from '../../services/application/graph-check.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { KernelAccess } from '../kernel/device.js';
import { narrow } from '../kernel/token.js';

/** A step, where it will be done, and the capability that allows just that. */
export interface PlannedStep {
  readonly step: SequencedStep;
  readonly member: Member;
  readonly capability: Capability;
}

export interface PlanRequest {
  readonly run: string;
  readonly graph: Graph;
  /** When the run's budget ends; ms since 1970. */
  readonly deadlineMs: number;
}

/**
 * Chooses a member for each step, checks the graph against what those members can do, and narrows one capability per step: every argument
 * fixed, for this step of this run only, useless after the deadline.
 */
export async function plan(
  kernel: KernelAccess,
  { run, graph, deadlineMs }: PlanRequest,
  signal: AbortSignal,
): Promise<PlannedStep[]> {
  const ordered = orderSteps(graph, kernel.limits.max_steps);
  const members = ordered.map(([step]) => kernel.pick(typeOf(step.operation)));
  const grants = new Map(
    await Promise.all(
      [...new Set(members)].map(
        async (member) => [member, await connect(kernel, member, signal)] as const,
      ),
    ),
  );
  const operations = new Map<string, OperationDescription>();
  for (const granted of grants.values())
    for (const [name, { operation }] of granted) operations.set(name, operation);
  const sequence = checkSteps(ordered, operations);
  return sequence.flatMap((step, index) => {
    const member = members[index];
    const root = member && grants.get(member)?.get(step.operation.name)?.capability;
    if (!root) return [];
    const caveat = {
      expiresAtMs: BigInt(Math.ceil(deadlineMs)),
      arguments: [...step.arguments],
      step: { run, step: step.id },
    };
    return [{ step, member, capability: narrow(root, caveat) }];
  });
}

/** A member that doesn't answer may be gone before the coordinator knows: the next attempt prefers others. */
async function connect(
  kernel: KernelAccess,
  member: Member,
  signal: AbortSignal,
): ReturnType<KernelAccess['connect']> {
  try {
    return await kernel.connect(member, signal);
  } catch (error) {
    if (!signal.aborted) kernel.suspect(member);
    throw error;
  }
}
