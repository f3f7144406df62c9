/** The record of a run that has ended. */
export interface EndedFile {
  readonly run: string;
  readonly version: bigint;
  /** When it ended, ms since 1970. */
  readonly atMs: number;
}

export interface RetentionLimits {
  /** Beyond so many the oldest go, though none that ended less than `leastMs` ago: its client may be looking for it. */
  readonly most: number;
  readonly leastMs: number;
  /** None is kept for longer. */
  readonly longestMs: number;
}

/** How many of `ended`, oldest first, are kept no more. Pure. */
export function countToRemove(
  ended: readonly EndedFile[],
  nowMs: number,
  { most, leastMs, longestMs }: RetentionLimits,
): number {
  const tooMany = ended.length - most;
  let count = 0;
  for (const { atMs } of ended) {
    const ageMs = nowMs - atMs;
    const goes = ageMs > longestMs || (count < tooMany && ageMs > leastMs);
    if (!goes) return count;
    count++;
  }
  return count;
}
