/** How busy a node is, as coarsely as it is told to all others. */
export interface Load {
  /** Share of the time in which its event loop was busy, in steps of ten. */
  readonly percent: number;
  /** Operations and calls under way, rounded up to a power of two. */
  readonly work: number;
}

const STEP = 10;

/** `busy`: 0 to 1. */
export function loadOf(busy: number, underWay: number): Load {
  const percent = STEP * Math.round((100 * Math.min(1, Math.max(0, busy))) / STEP);
  return { percent, work: underWay < 1 ? 0 : 2 ** Math.ceil(Math.log2(underWay)) };
}

/** Whether it is worth a word to everybody: more than a step of time, or more than twice or less than half of the work. */
export function differsNoticeably(told: Load, now: Load): boolean {
  const steps = Math.abs(told.percent - now.percent) / STEP;
  return steps > 1 || Math.abs(levelOf(told) - levelOf(now)) > 1;
}

/** 0, 1, 2, 4, ... are levels 0, 1, 2, 3, ... */
function levelOf({ work }: Load): number {
  return work === 0 ? 0 : 1 + Math.log2(work);
}
