/**
 * Epochs only grow, also where the coordinator lost its memory. ZooKeeper's czxids restart low after it was wiped, so what counts is
 * czxid + base, and the base of a data center is the second of its creation, in the bits above those that czxids count in (the lower 32; ZooKeeper adds
 * one to the upper for each election, and one second is more than an election takes). The embedded coordinator counts from the moment of its start on the
 * same scale. A base that is still too low, since a clock went back or an older ensemble came back, is raised by whoever finds out
 * (`Registration.renew`).
 */
const SHIFT = 32n;
const ORIGIN_MS = Date.UTC(2020, 0, 1);

/** Where epochs begin that are counted from this moment on. */
export function epochBaseAt(nowMs: number): bigint {
  return (BigInt(Math.max(0, Math.floor(nowMs - ORIGIN_MS))) << SHIFT) / 1000n;
}

/** A base all of whose epochs are greater than this one. */
export function epochBaseAbove(epoch: bigint): bigint {
  return ((epoch >> SHIFT) + 1n) << SHIFT;
}

/** The base as it is written in a znode; undefined where there is none. */
export function parseEpochBase(text: string): bigint | undefined {
  return /^\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}
