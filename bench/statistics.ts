/** Value below which the share `q` of the samples lies. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

/** What a measure found: medians over rounds, arms measured in turn within each round. */
export interface Finding {
  readonly measure: string;
  /** What the ratio is of and by. */
  readonly arms: readonly [string, string];
  readonly ratio: number;
  /** Ratio of each round. */
  readonly range: readonly [number, number];
  readonly target?: { readonly most?: number; readonly least?: number };
  /** Figures with their unit in the name, such as `hopP50Us`. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Folds the ratios of all rounds into a finding. */
export function finding(
  measure: string,
  arms: readonly [string, string],
  ratios: readonly number[],
  figures: Readonly<Record<string, number>>,
  target?: Finding['target'],
): Finding {
  return {
    measure,
    arms,
    ratio: median(ratios),
    range: [Math.min(...ratios), Math.max(...ratios)],
    figures,
    ...(target ? { target } : {}),
  };
}
