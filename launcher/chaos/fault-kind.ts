/** What can be done to a member. */
export const FaultKind = {
  /** SIGKILL. Heals itself: the launcher starts it again. */
  kill: 'kill',
  /** SIGSTOP until SIGCONT. */
  pause: 'pause',
  /** Its session with the coordinator ends without its knowing. Heals itself. */
  expireSession: 'expire-session',
  /** Every write of the process to a file fails as on a full disk. */
  fillDisk: 'fill-disk',
  /** Its link gets slow, late or lossy. */
  slow: 'slow',
  /** Its link is cut. */
  partition: 'partition',
} as const;
export type FaultKind = (typeof FaultKind)[keyof typeof FaultKind];

export const FAULT_KINDS: readonly FaultKind[] = Object.values(FaultKind);

/** Faults that are over by themselves. */
export const PASSING: ReadonlySet<FaultKind> = new Set([FaultKind.kill, FaultKind.expireSession]);
