import type { PinnedStep } from '../../protos/gen/fractory/v1/journal.js';
import { allSteps } from '../../services/application/graph/checked-graph.js';
import type { Member } from '../../zookeeper/coordinator.js';
import { stepMayBeDone } from '../kernel/once-steps.js';
import type { PlannedGraph, PlannedStep } from './plan.js';

/** Where later attempts of a run do what an earlier one may have done. */
export interface PinnedPlaces {
  /** By step, as `Placement.members`. */
  readonly members: ReadonlyMap<string, readonly Member[]>;
  /** By map: elements must come to the same members again. */
  readonly branches: ReadonlyMap<string, number>;
}

/** Where an attempt does its steps that must not be done twice, and how its maps are composed; empty where it has no such steps. */
export function pinsOf(graph: PlannedGraph): PinnedStep[] {
  const steps = [...allSteps<PlannedStep>(graph)].map(({ step }) => step);
  if (!steps.some(isDoneOnce)) return [];
  return steps
    .filter((step) => isDoneOnce(step) || step.map)
    .map((step) => ({
      step: step.id,
      members: isDoneOnce(step)
        ? step.places.map(({ member: { id, epoch } }) => ({ member: id, epoch }))
        : [],
      branches: step.map?.branches ?? 0,
    }));
}

/** The members of pinned steps. ABORTED (STEP_MAY_BE_DONE) where one of them is not there any more in that life of it. */
export function pinnedPlaces(
  pinned: readonly PinnedStep[],
  present: readonly Member[],
): PinnedPlaces {
  const members = new Map<string, readonly Member[]>();
  const branches = new Map<string, number>();
  for (const { step, members: places, branches: count } of pinned) {
    if (count > 0) branches.set(step, count);
    else
      members.set(
        step,
        places.map((place) => memberOf(step, place, present)),
      );
  }
  return { members, branches };
}

function memberOf(
  step: string,
  { member, epoch }: PinnedStep['members'][0],
  present: readonly Member[],
): Member {
  const found = present.find((one) => one.id === member && one.epoch === epoch);
  if (found) return found;
  const why = `its life (epoch ${String(epoch)}) in which an attempt was made is over`;
  throw stepMayBeDone({ step, member }, why);
}

function isDoneOnce({ operation }: PlannedStep): boolean {
  return operation?.idempotent === false;
}
