import { allSteps, typeOf } from '../../services/application/graph/checked-graph.js';
import type { OrderedGraph, OrderedStep } from '../../services/application/graph/checked-graph.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { KernelAccess } from '../kernel/device.js';
import type { PinnedPlaces } from './pins.js';

/** Who does what. */
export interface Placement {
  /** By step: one member outside of maps, inside one for each way in which the maps around are composed. */
  readonly members: ReadonlyMap<string, readonly Member[]>;
  /** By map: how many branches it has. */
  readonly branches: ReadonlyMap<string, number>;
}

const MAX_BRANCHES = 16;
/** Branches of maps inside maps multiply: this bounds what an invocation carries. */
const MAX_VARIANTS = 64;

/** Chooses members by the routing of their types, but for steps that are pinned. UNAVAILABLE where a type has none. */
export function chooseMembers(
  kernel: Pick<KernelAccess, 'members' | 'pick'>,
  graph: OrderedGraph,
  pinned?: PinnedPlaces,
): Placement {
  const members = new Map<string, readonly Member[]>();
  const branches = new Map<string, number>();
  const choose = (steps: readonly OrderedStep[], variants: number, isInMap: boolean): void => {
    const teams = new Map<string, readonly Member[]>();
    for (const { id, step, map } of steps) {
      if (map) {
        const count =
          pinned?.branches.get(id) ??
          branchesOf(kernel, map, step.arguments[0]?.value?.kind, variants);
        branches.set(id, count);
        choose(map.steps, variants * count, true);
        continue;
      }
      const pins = pinned?.members.get(id);
      if (pins) {
        members.set(id, pins);
        continue;
      }
      const type = typeOf(step.operation);
      // Inside a map all steps of a type are done by the same member for the same element: what passes between them stays there.
      const team = (isInMap && teams.get(type)) || pickSeveral(kernel, type, variants);
      teams.set(type, team);
      members.set(id, team);
    }
  };
  choose(graph.steps, 1, false);
  return { members, branches };
}

function pickSeveral(
  kernel: Pick<KernelAccess, 'pick'>,
  type: string,
  count: number,
): readonly Member[] {
  return Array.from({ length: count }, () => kernel.pick(type));
}

/** As many as the busiest type has members, so that all of them have something to do. */
function branchesOf(
  kernel: Pick<KernelAccess, 'members'>,
  map: OrderedGraph,
  list: NonNullable<OrderedStep['step']['arguments'][0]['value']>['kind'],
  variants: number,
): number {
  const types = new Set<string>();
  for (const { step } of allSteps(map)) if (!step.map) types.add(typeOf(step.step.operation));
  const useful = new Map<string, number>();
  for (const { type, routing } of kernel.members())
    if (types.has(type)) useful.set(type, routing === 'any' ? (useful.get(type) ?? 0) + 1 : 1);
  const elements = list?.$case === 'list' ? list.value.values.length : MAX_BRANCHES;
  const most = Math.min(MAX_BRANCHES, Math.floor(MAX_VARIANTS / variants), elements);
  return Math.max(1, Math.min(most, Math.max(0, ...useful.values())));
}
