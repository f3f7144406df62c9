/** Kinds whose floor is remembered; of more, the one that was not seen for longest is forgotten. */
const MAX_KINDS = 256;
/** Samples before a floor is trusted: the first ones of a process are slow. */
const MIN_SAMPLES = 16;
/** Weight of a sample in the running mean. */
const WEIGHT = 1 / 16;
/** How fast a floor rises while nothing is as low, share a second: what has become slower for good is the new normal some day. */
const RISE_PER_SECOND = 0.002;

interface Floor {
  /** Natural logarithm of the running geometric mean, ms. */
  mean: number;
  /** The lowest that it was. */
  floor: number;
  samples: number;
  seenAtMs: number;
}

/**
 * The latency that each kind of work has when nothing is in its way: the lowest mean of some samples that was seen, slow to forget. Envoy calls it minRTT,
 * Netflix' GradientLimit RTT_noload. A mean is compared with a mean, as Envoy compares medians: a kind whose work takes 2 ms or 500, as its arguments are,
 * is not slow for that. The mean is geometric, so that a few long ones do not hide the rest.
 */
export class LatencyFloors {
  readonly #floors = new Map<string, Floor>();

  /** Takes a latency and returns how slow its kind is now, as a multiple of its floor; undefined while that is not known. */
  sample(kind: string, ms: number, nowMs: number): number | undefined {
    const value = Math.log(Math.max(ms, 0.01));
    const floor = this.#seen(kind, nowMs);
    // In the beginning all samples weigh the same.
    floor.mean += (value - floor.mean) * Math.max(WEIGHT, 1 / ++floor.samples);
    if (floor.samples <= MIN_SAMPLES) floor.floor = floor.mean;
    floor.floor = Math.min(floor.floor, floor.mean);
    return floor.samples > MIN_SAMPLES ? Math.exp(floor.mean - floor.floor) : undefined;
  }

  /** ms; undefined while a kind is not known well enough. */
  of(kind: string): number | undefined {
    const floor = this.#floors.get(kind);
    return floor && floor.samples > MIN_SAMPLES ? Math.exp(floor.floor) : undefined;
  }

  /** The floor was looked at: so long does a kind take with next to nothing beside it. */
  set(kind: string, ms: number): void {
    const floor = this.#floors.get(kind);
    if (floor) floor.floor = Math.log(Math.max(ms, 0.01));
  }

  /** How slow a latency is, without counting it. */
  slowness(kind: string, ms: number): number | undefined {
    const floorMs = this.of(kind);
    return floorMs === undefined ? undefined : ms / floorMs;
  }

  #seen(kind: string, nowMs: number): Floor {
    const floor = this.#floors.get(kind) ?? { mean: 0, floor: 0, samples: 0, seenAtMs: nowMs };
    this.#floors.delete(kind);
    this.#floors.set(kind, floor);
    if (this.#floors.size > MAX_KINDS) this.#forgetOldest();
    floor.floor += Math.log1p((RISE_PER_SECOND * (nowMs - floor.seenAtMs)) / 1000);
    floor.seenAtMs = nowMs;
    return floor;
  }

  #forgetOldest(): void {
    for (const oldest of this.#floors.keys()) {
      this.#floors.delete(oldest);
      return;
    }
  }
}
