/** Value below which the share `q` of the samples lies; NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

/** The lowest and the highest of some values. */
export type Range = readonly [low: number, high: number];

export function rangeOf(values: readonly number[]): Range {
  return [Math.min(...values), Math.max(...values)];
}
