/** Neighbouring blocks. */
export interface BlockRange {
  readonly start: number;
  readonly count: number;
}

/**
 * A set of blocks, kept as ranges in order. Adding what is there, or removing what isn't, is a programmer's error: blocks that count twice would be
 * given to two owners.
 */
export class RangeSet {
  /** Invariant: in order, none empty, none touching the next. */
  readonly #ranges: BlockRange[] = [];
  #count = 0;

  constructor(ranges: Iterable<BlockRange> = []) {
    for (const range of ranges) this.add(range);
  }

  /** Blocks. */
  get count(): number {
    return this.#count;
  }

  get ranges(): readonly BlockRange[] {
    return this.#ranges;
  }

  add({ start, count }: BlockRange): void {
    if (count === 0) return;
    const at = this.#firstEndingAfter(start - 1);
    const next = this.#ranges[at];
    const touchesBefore = next && next.start + next.count === start;
    const after = touchesBefore ? this.#ranges[at + 1] : next;
    if (
      (next && !touchesBefore && next.start < start + count) ||
      (after && after.start < start + count)
    )
      throw new Error(`blocks ${String(start)} to ${String(start + count)} are there already`);
    const joinsAfter = after?.start === start + count;
    const merged = {
      start: touchesBefore ? next.start : start,
      count: count + (touchesBefore ? next.count : 0) + (joinsAfter ? after.count : 0),
    };
    this.#ranges.splice(at, Number(touchesBefore ?? false) + Number(joinsAfter), merged);
    this.#count += count;
  }

  remove({ start, count }: BlockRange): void {
    if (count === 0) return;
    const at = this.#firstEndingAfter(start);
    const found = this.#ranges[at];
    if (!found || found.start > start || found.start + found.count < start + count)
      throw new Error(`blocks ${String(start)} to ${String(start + count)} are not all there`);
    const rest = [
      { start: found.start, count: start - found.start },
      { start: start + count, count: found.start + found.count - start - count },
    ].filter((range) => range.count > 0);
    this.#ranges.splice(at, 1, ...rest);
    this.#count -= count;
  }

  /** Whether all of these blocks are in the set. */
  has({ start, count }: BlockRange): boolean {
    const found = this.#ranges[this.#firstEndingAfter(start)];
    return (
      found !== undefined && found.start <= start && found.start + found.count >= start + count
    );
  }

  /**
   * Takes up to `count` blocks out, in as few ranges as it can: the smallest range that has them all, else the largest first. Returns what it
   * took.
   */
  take(count: number): BlockRange[] {
    const taken: BlockRange[] = [];
    for (let missing = count; missing > 0 && this.#ranges.length > 0;) {
      const source = this.#best(missing);
      const range = { start: source.start, count: Math.min(source.count, missing) };
      this.remove(range);
      taken.push(range);
      missing -= range.count;
    }
    return taken;
  }

  #best(count: number): BlockRange {
    let best: BlockRange | undefined;
    for (const range of this.#ranges) if (!best || isBetter(range, best, count)) best = range;
    if (!best) throw new Error('the set is empty');
    return best;
  }

  /** Place of the first range that ends after this block. */
  #firstEndingAfter(block: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#ranges[middle];
      if (range && range.start + range.count > block) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function isBetter(range: BlockRange, best: BlockRange, count: number): boolean {
  const fits = range.count >= count;
  if (fits !== best.count >= count) return fits;
  return fits ? range.count < best.count : range.count > best.count;
}
