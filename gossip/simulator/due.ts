/** Something that is to be done at a time. */
export abstract class Due {
  readonly atMs: number;
  /** Of equal times the one that was asked for first comes first. */
  readonly order: number;
  /** Of the same slot or epoch. */
  next: Due | undefined = undefined;
  /** Of the same epoch. */
  previous: Due | undefined = undefined;

  constructor(atMs: number, order: number) {
    this.atMs = atMs;
    this.order = order;
  }

  /** Its time has come. */
  abstract happens(): void;
}

export function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
