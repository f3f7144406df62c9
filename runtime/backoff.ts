import type { Random } from './seeded-random.js';

export interface BackoffOptions {
  /** Delay before the second attempt, ms. Default 50. */
  readonly initialMs?: number;
  /** Longest delay, ms. Default 2,000. */
  readonly maxMs?: number;
  /** Growth per attempt. Default 2. */
  readonly factor?: number;
  /** Share of the delay that is random, 0..1. Default 0.2: +-20 %. */
  readonly jitter?: number;
}

/** How long to wait after attempt number `attempt` (1, 2, ...) failed, in ms. */
export function backoffMs(
  attempt: number,
  options: BackoffOptions = {},
  random: Random = Math.random,
): number {
  const { initialMs = 50, maxMs = 2000, factor = 2, jitter = 0.2 } = options;
  const base = Math.min(maxMs, initialMs * factor ** (attempt - 1));
  return base * (1 + jitter * (2 * random() - 1));
}
