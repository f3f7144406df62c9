/** What an epoch has come to. */
export interface EpochRecord {
  /** From 1. */
  readonly epoch: number;
  readonly trainingLoss: number;
  readonly trainingAccuracy: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
  readonly seconds: number;
  /** The best until then. */
  readonly best: boolean;
}

/** By validation accuracy; of two that are right equally often, the surer one. */
export function isBetter(
  one: Pick<EpochRecord, 'validationAccuracy' | 'validationLoss'>,
  other: Pick<EpochRecord, 'validationAccuracy' | 'validationLoss'> | undefined,
): boolean {
  if (!other) return true;
  if (one.validationAccuracy !== other.validationAccuracy)
    return one.validationAccuracy > other.validationAccuracy;
  return one.validationLoss < other.validationLoss;
}
