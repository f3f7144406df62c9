import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import type { PinnedStep } from '../../protos/gen/fractory/v1/journal.js';
import type { OperationDescription } from '../../protos/gen/fractory/v1/operation.js';
import { Topology } from '../../protos/gen/fractory/v1/application.js';
import { checkGraph, orderGraph } from '../../services/application/graph/check.js';
import type {
  CheckedGraph,
  CheckedStep,
  OrderedGraph,
} from '../../services/application/graph/checked-graph.js';
import type { Member } from '../../zookeeper/coordinator.js';
import { markedRights, narrow, RIGHT_INVOKE } from '../kernel/capabilities/token.js';
import type { KernelAccess, RootGrant } from '../kernel/device.js';
import { pinnedPlaces } from './pins.js';
import { chooseMembers } from './placement.js';
import type { Placement } from './placement.js';

/** Where a step may be done, and the capability that allows just that. */
export interface Place {
  readonly member: Member;
  readonly capability: Capability;
}

/** A step of a run. */
export interface PlannedStep extends CheckedStep {
  /** Outside of maps one; inside as many as the maps around have branches, members may come twice. Empty for a map. */
  readonly places: readonly Place[];
  readonly map: PlannedMap | undefined;
}

export interface PlannedMap extends PlannedGraph {
  /** In how many ways its graph is composed: its elements take turns. Each of the maps around multiplies the number of places. */
  readonly branches: number;
  /** Elements under way at a time; 0 = as the one who drives it likes. */
  readonly parallelism: number;
}

/** A graph whose steps have places. */
export interface PlannedGraph extends CheckedGraph {
  readonly steps: readonly PlannedStep[];
}

export interface Plan {
  readonly graph: PlannedGraph;
  /** All members that it depends on, each once. */
  readonly members: readonly Member[];
}

export interface PlanOptions {
  readonly run: string;
  readonly graph: Graph;
  /** The same graph, where its form was checked before. */
  readonly ordered?: OrderedGraph | undefined;
  /** When the run's budget ends; ms since 1970. */
  readonly deadlineMs: number;
  /** In a ring the owner of a step waits for its inputs, in a star the application node does. Default: ring. */
  readonly topology?: Topology;
  /** Steps that an earlier attempt may have done, and must not be done elsewhere. Default: none. */
  readonly pinned?: readonly PinnedStep[];
  /**
   * Tells the capabilities of this execution from those of any other with the same run and deadline; see `markedRights`. Default: whoever plans the run again has
   * the same capabilities.
   */
  readonly mark?: number | undefined;
}

/**
 * Chooses members for each step, checks the graph against what those members can do, and narrows one capability per step and member: every argument
 * fixed, for this step of this run only, useless after the deadline.
 */
export async function plan(
  kernel: KernelAccess,
  options: PlanOptions,
  signal: AbortSignal,
): Promise<Plan> {
  const ordered = options.ordered ?? orderGraph(options.graph, kernel.limits.max_steps);
  const { pinned = [] } = options;
  const places = pinned.length > 0 ? pinnedPlaces(pinned, kernel.members()) : undefined;
  const placement = chooseMembers(kernel, ordered, places);
  const grants = await connectAll(kernel, placement, signal);
  const operations = new Map<string, OperationDescription>();
  for (const granted of grants.values())
    for (const [name, { operation }] of granted) operations.set(name, operation);
  const checked = checkGraph(ordered, operations);
  const graph = new Placer(options, placement, grants).place(checked);
  return { graph, members: [...grants.keys()] };
}

type Grants = ReadonlyMap<Member, ReadonlyMap<string, RootGrant>>;

async function connectAll(
  kernel: KernelAccess,
  { members }: Placement,
  signal: AbortSignal,
): Promise<Grants> {
  const distinct = new Map([...members.values()].flat().map((one) => [one.id, one]));
  return new Map(
    await Promise.all(
      [...distinct.values()].map(
        async (member) => [member, await connect(kernel, member, signal)] as const,
      ),
    ),
  );
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

/** Narrows the capabilities of a checked graph. */
class Placer {
  readonly #options: PlanOptions;
  readonly #placement: Placement;
  readonly #roots = new Map<string, ReadonlyMap<string, RootGrant>>();

  constructor(options: PlanOptions, placement: Placement, grants: Grants) {
    this.#options = options;
    this.#placement = placement;
    for (const [{ id }, granted] of grants) this.#roots.set(id, granted);
  }

  place(graph: CheckedGraph): PlannedGraph {
    return {
      ...graph,
      steps: graph.steps.map((step) => {
        const { id, step: sent, incoming, onSuccess, onFailure, gate, end, operation } = step;
        const places = operation ? this.#placesOf(step, operation.name) : [];
        const map = step.map && this.#map(step, step.map);
        const same = { id, step: sent, incoming, onSuccess, onFailure, gate, end, operation };
        return Object.assign(same, { places, map });
      }),
    };
  }

  #map({ id, step }: CheckedStep, graph: CheckedGraph): PlannedMap {
    return {
      ...this.place(graph),
      branches: this.#placement.branches.get(id) ?? 1,
      parallelism: step.map?.parallelism ?? 0,
    };
  }

  #placesOf(step: CheckedStep, operation: string): Place[] {
    const made = new Map<string, Place>();
    return (this.#placement.members.get(step.id) ?? []).flatMap((member) => {
      const known = made.get(member.id);
      if (known) return [known];
      const root = this.#roots.get(member.id)?.get(operation)?.capability;
      if (!root) return [];
      const place = { member, capability: this.#narrowed(root, step) };
      made.set(member.id, place);
      return [place];
    });
  }

  #narrowed(root: Capability, { id, step, gate }: CheckedStep): Capability {
    const { run, deadlineMs, topology, mark } = this.#options;
    const waits = gate.length > 0 && topology !== Topology.STAR;
    return narrow(root, {
      expiresAtMs: BigInt(Math.ceil(deadlineMs)),
      arguments: step.arguments,
      step: { run, step: id },
      timeoutMs: step.timeoutMs,
      ...(waits ? { gate: { inputs: [...gate] } } : {}),
      ...(mark === undefined ? {} : { rights: markedRights(RIGHT_INVOKE, mark) }),
    });
  }
}

/** The place of a step in one of the ways in which the maps around are composed. */
export function placeFor({ id, places }: PlannedStep, variant: number): Place {
  const place = places[variant % places.length];
  if (!place) throw new Error(`step ${id} has no place`);
  return place;
}

/** Which members may do which steps, with those of maps. */
export function placementsOf(graph: PlannedGraph): { step: string; member: string }[] {
  return graph.steps.flatMap(({ id, places, map }) => {
    const members = [...new Set(places.map(({ member }) => member.id))];
    return [...members.map((member) => ({ step: id, member })), ...(map ? placementsOf(map) : [])];
  });
}
