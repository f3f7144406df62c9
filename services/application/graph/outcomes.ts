import { someOf } from './violations.js';

/** An edge as outcomes see it. */
export interface WiredEdge {
  /** Place of the step; undefined = the element of the map around. */
  readonly from: number | undefined;
  readonly onFailure: boolean;
}

/** A step as outcomes see it; its place is that in the list, which is in an order in which the steps could run. */
export interface WiredStep {
  readonly id: string;
  readonly isMap: boolean;
  /** What leads to it, by argument: of each group something must come. */
  readonly incoming: readonly (readonly WiredEdge[])[];
  /** Nobody takes its result. */
  readonly isEnd: boolean;
  /** Places of the steps that its edges lead to. */
  readonly onSuccess: readonly number[];
  readonly onFailure: readonly number[];
  /** Who takes its failure, as text to compare; empty = nobody. */
  readonly handlers: string;
  /** Where it stood in the graph as it was sent. */
  readonly sentAt: number;
}

export interface Outcomes {
  /** Place in the result of the graph, by the place of the step that ends there. */
  readonly ends: ReadonlyMap<number, number>;
  readonly count: number;
  readonly problems: readonly string[];
}

/**
 * Goes through what may happen: nothing fails, one step with a failure edge fails, then a step that began only because of that, and so on. Whatever
 * happens, a graph must have the same number of results: the ends that are reached only after a failure take the places of those that are missed. (Of
 * two failures that have nothing to do with each other, each is looked at alone.)
 */
export function findOutcomes(steps: readonly WiredStep[]): Outcomes {
  const rehearsal = new Rehearsal(steps);
  const sentAt = (place: number): number => steps[place]?.sentAt ?? 0;
  const bySent = (one: number, other: number): number => sentAt(one) - sentAt(other);
  const ends = new Map<number, number>();
  for (const end of rehearsal.reached().sort(bySent)) ends.set(end, ends.size);
  const count = ends.size;
  const problems = new Set<string>();
  const everBegun = new Set([...steps.keys()].filter((place) => rehearsal.hasBegun(place)));
  for (const { failed, begun, prevented } of rehearsal.failures()) {
    const isEnd = (place: number): boolean => steps[place]?.isEnd === true;
    const added = begun.filter(isEnd).sort(bySent);
    const missed = [failed, ...prevented].filter(isEnd).sort(bySent);
    const problem = replace(steps, ends, { failed, missed, added });
    if (problem !== undefined) problems.add(problem);
    for (const place of begun) everBegun.add(place);
  }
  for (const place of rehearsal.doubledMaps) problems.add(doubledMap(steps, place));
  const never = steps.filter((_, place) => !everBegun.has(place)).map(({ id }) => id);
  return { ends, count, problems: never.length > 0 ? [neverBegins(never)] : [...problems] };
}

/** What becomes different when one more step fails. */
interface Change {
  readonly failed: number;
  /** Steps that begin now, and would not have. */
  readonly begun: readonly number[];
  /** Steps that would have begun, and don't now. */
  readonly prevented: readonly number[];
}

/** Plays through failures and takes them back; only what a failure changes is gone through. */
class Rehearsal {
  /** Maps to which more than one list comes in something that was played. */
  readonly doubledMaps = new Set<number>();
  readonly #steps: readonly WiredStep[];
  readonly #begun: Uint8Array;
  readonly #failed = new Set<number>();

  constructor(steps: readonly WiredStep[]) {
    this.#steps = steps;
    this.#begun = new Uint8Array(steps.length);
    for (const place of steps.keys()) this.#begun[place] = this.#begins(place) ? 1 : 0;
  }

  hasBegun(place: number): boolean {
    return this.#begun[place] === 1;
  }

  /** Ends that are reached as it is. */
  reached(): number[] {
    return [...this.#steps.keys()].filter(
      (place) => this.#steps[place]?.isEnd === true && this.hasBegun(place),
    );
  }

  /** Each step with a failure edge fails once, where it begins; what follows is played on top of that, then taken back. */
  *failures(): Generator<Change> {
    const examined = new Set<number>();
    const stack: { readonly change: Change | undefined; readonly pending: number[] }[] = [
      { change: undefined, pending: this.#handledAmong([...this.#steps.keys()]) },
    ];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const place = top.pending.pop();
      if (place === undefined) {
        if (top.change) this.#takeBack(top.change);
        stack.pop();
        continue;
      }
      if (examined.has(place)) continue;
      examined.add(place);
      const change = this.#fail(place);
      yield change;
      stack.push({ change, pending: this.#handledAmong(change.begun) });
    }
  }

  /** Steps among these whose failure is worth a look, the first one last. */
  #handledAmong(places: readonly number[]): number[] {
    return places
      .filter(
        (place) =>
          this.hasBegun(place) && this.#steps[place]?.handlers !== '' && !this.#isLikeNext(place),
      )
      .reverse();
  }

  /** Of steps in a row with the same handlers, the last stands for all. */
  #isLikeNext(place: number): boolean {
    const step = this.#steps[place];
    const [only] = step?.onSuccess ?? [];
    if (only === undefined || (step?.onSuccess.length ?? 0) > 1) return false;
    const next = this.#steps[only];
    return next?.handlers === step?.handlers && next?.incoming.flat().length === 1;
  }

  #fail(failed: number): Change {
    this.#failed.add(failed);
    const change = { failed, begun: [] as number[], prevented: [] as number[] };
    const touched = new Uint8Array(this.#steps.length);
    let left = this.#touch(failed, touched);
    // All edges lead forward.
    for (let place = failed + 1; left > 0; place++) {
      if (touched[place] !== 1) continue;
      left--;
      const begins = this.#begins(place);
      if (begins === this.hasBegun(place)) continue;
      this.#begun[place] = begins ? 1 : 0;
      (begins ? change.begun : change.prevented).push(place);
      left += this.#touch(place, touched);
    }
    return change;
  }

  #takeBack({ failed, begun, prevented }: Change): void {
    this.#failed.delete(failed);
    for (const place of begun) this.#begun[place] = 0;
    for (const place of prevented) this.#begun[place] = 1;
  }

  /** Marks what follows a step; returns how many were not marked before. */
  #touch(place: number, touched: Uint8Array): number {
    const { onSuccess = [], onFailure = [] } = this.#steps[place] ?? {};
    let count = 0;
    for (const next of [...onSuccess, ...onFailure]) {
      if (touched[next] === 1) continue;
      touched[next] = 1;
      count++;
    }
    return count;
  }

  /** Whether something comes for each argument. */
  #begins(place: number): boolean {
    const { isMap = false, incoming = [] } = this.#steps[place] ?? {};
    if (isMap) this.#count(place, incoming[0] ?? []);
    return incoming.every((edges) => edges.some((edge) => this.#comes(edge)));
  }

  /** Nobody counts for a map, which belongs to no node: it would be done for each list that comes. */
  #count(map: number, edges: readonly WiredEdge[]): void {
    if (edges.length < 2) return;
    if (edges.filter((edge) => this.#comes(edge)).length > 1) this.doubledMaps.add(map);
  }

  #comes({ from, onFailure }: WiredEdge): boolean {
    if (from === undefined) return true;
    return this.hasBegun(from) && this.#failed.has(from) === onFailure;
  }
}

interface Replacement {
  readonly failed: number;
  readonly missed: readonly number[];
  readonly added: readonly number[];
}

/** Gives ends that come after a failure the places of those that are missed then. */
function replace(
  steps: readonly WiredStep[],
  ends: Map<number, number>,
  { failed, missed, added }: Replacement,
): string | undefined {
  const namesOf = (places: readonly number[]): string[] =>
    places.map((place) => steps[place]?.id ?? '');
  const [step] = namesOf([failed]);
  if (missed.length !== added.length) {
    const lost = missed.length === 0 ? 'no result' : `that of ${someOf(namesOf(missed))}`;
    const instead = added.length === 0 ? 'nothing' : `the result of ${someOf(namesOf(added))}`;
    return (
      `when ${step ?? ''} fails, ${instead} takes the place of ${lost}; ` +
      'whatever fails and is handled, a graph has as many ends: lead what belongs together to one step'
    );
  }
  for (const [index, end] of added.entries()) {
    const place = ends.get(missed[index] ?? -1);
    if (place === undefined) continue;
    const known = ends.get(end);
    if (known !== undefined && known !== place)
      return `${namesOf([end]).join('')} stands in for different ends, whichever step fails; lead those to one step first`;
    ends.set(end, place);
  }
  return undefined;
}

function doubledMap(steps: readonly WiredStep[], place: number): string {
  const { id = '', incoming = [] } = steps[place] ?? {};
  const sources = incoming.flat().map(({ from }) => steps[from ?? -1]?.id ?? 'the element');
  return `map ${id} would get several lists, from ${someOf([...new Set(sources)])}; only one may come`;
}

function neverBegins(ids: readonly string[]): string {
  return `${someOf(ids)} can never begin: of what ${ids.length === 1 ? 'it waits' : 'they wait'} for, not all can come in one run`;
}
