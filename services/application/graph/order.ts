/** An edge between places in a list of steps. */
export interface Arc {
  readonly from: number;
  readonly to: number;
}

/**
 * Places 0 to `count` - 1 so that all arcs lead forward; those on a cycle, or after one, are left out. Of two that could come next, the one that was ready
 * first does.
 */
export function topologicalOrder(count: number, arcs: readonly Arc[]): number[] {
  const after = Array.from({ length: count }, (): number[] => []);
  const waitsFor = new Array<number>(count).fill(0);
  for (const { from, to } of arcs) {
    after[from]?.push(to);
    waitsFor[to] = (waitsFor[to] ?? 0) + 1;
  }
  const order: number[] = [];
  for (let place = 0; place < count; place++) if (waitsFor[place] === 0) order.push(place);
  // The list grows while it is gone through.
  for (const place of order)
    for (const next of after[place] ?? []) {
      const left = (waitsFor[next] ?? 0) - 1;
      waitsFor[next] = left;
      if (left === 0) order.push(next);
    }
  return order;
}

/** The places of one cycle, in its order, among those that `topologicalOrder` left out. */
export function cycleAmong(left: ReadonlySet<number>, arcs: readonly Arc[]): number[] {
  const before = new Map<number, number>();
  for (const { from, to } of arcs) if (left.has(from) && left.has(to)) before.set(to, from);
  const path: number[] = [];
  const seen = new Map<number, number>();
  // Whatever was left out waits for something that was left out: going back must meet itself.
  let [place] = left;
  while (place !== undefined && !seen.has(place)) {
    seen.set(place, path.length);
    path.push(place);
    place = before.get(place);
  }
  return path.slice(place === undefined ? 0 : seen.get(place)).reverse();
}
