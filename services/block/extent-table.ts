import { RangeSet } from './range-set.js';
import type { BlockRange } from './range-set.js';

/** Ranges as they stand in the journal: `[start, count]`. */
export type Pair = readonly [start: number, count: number];

/** What happens to the table, one line of the journal or a part of it. */
export type Change =
  | {
      readonly allocate: {
        readonly id: string;
        readonly label: string;
        readonly ranges: readonly Pair[];
      };
    }
  | { readonly free: readonly string[] }
  /** Free blocks that were used, and are zero again. */
  | { readonly clean: readonly Pair[] }
  /** Free blocks that were used: only in snapshots. */
  | { readonly dirty: readonly Pair[] };

export interface ExtentRecord {
  readonly label: string;
  readonly ranges: readonly BlockRange[];
}

/**
 * Which blocks belong to which extent, and which free ones are not zero: what the journal says, as of the last line that is durable. Pure: changes
 * in, state out. A change that can't be throws, and the table is no use any more.
 */
export class ExtentTable {
  readonly #capacityBlocks: number;
  readonly #extents = new Map<string, ExtentRecord>();
  readonly #free: RangeSet;
  readonly #dirty = new RangeSet();

  constructor(capacityBlocks: number) {
    this.#capacityBlocks = capacityBlocks;
    this.#free = new RangeSet([{ start: 0, count: capacityBlocks }]);
  }

  get capacityBlocks(): number {
    return this.#capacityBlocks;
  }

  get extents(): ReadonlyMap<string, ExtentRecord> {
    return this.#extents;
  }

  /** Free blocks, the dirty ones too. */
  get free(): RangeSet {
    return this.#free;
  }

  /** Free blocks that hold what they held when they were used. */
  get dirty(): RangeSet {
    return this.#dirty;
  }

  apply(change: Change): void {
    if ('allocate' in change) this.#allocate(change.allocate);
    else if ('free' in change) for (const id of change.free) this.#release(id);
    else if ('clean' in change)
      for (const range of rangesOf(change.clean)) this.#dirty.remove(range);
    else for (const range of rangesOf(change.dirty)) this.#soil(range);
  }

  /** Changes that make a fresh table into this one. */
  *snapshot(): Generator<Change, void> {
    for (const [id, { label, ranges }] of this.#extents)
      yield { allocate: { id, label, ranges: pairsOf(ranges) } };
    if (this.#dirty.count > 0) yield { dirty: pairsOf(this.#dirty.ranges) };
  }

  #allocate({
    id,
    label,
    ranges: pairs,
  }: Extract<Change, { allocate: unknown }>['allocate']): void {
    if (this.#extents.has(id)) throw new Error(`extent ${id} exists already`);
    const ranges = rangesOf(pairs);
    for (const range of ranges) {
      this.#free.remove(range);
      // Whoever allocates dirty blocks has zeroed them before.
      this.#wipe(range);
    }
    this.#extents.set(id, { label, ranges });
  }

  #release(id: string): void {
    const extent = this.#extents.get(id);
    if (!extent) throw new Error(`there is no extent ${id}`);
    this.#extents.delete(id);
    for (const range of extent.ranges) {
      this.#free.add(range);
      this.#dirty.add(range);
    }
  }

  #soil(range: BlockRange): void {
    if (!this.#free.has(range)) throw new Error('blocks of an extent are said to be free');
    this.#dirty.add(range);
  }

  #wipe({ start, count }: BlockRange): void {
    const end = start + count;
    for (const range of [...this.#dirty.ranges]) {
      const from = Math.max(range.start, start);
      const to = Math.min(range.start + range.count, end);
      if (from < to) this.#dirty.remove({ start: from, count: to - from });
    }
  }
}

export function pairsOf(ranges: readonly BlockRange[]): Pair[] {
  return ranges.map(({ start, count }) => [start, count] as const);
}

function rangesOf(pairs: readonly Pair[]): BlockRange[] {
  return pairs.map(([start, count]) => ({ start, count }));
}
