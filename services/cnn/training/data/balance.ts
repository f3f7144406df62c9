import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../../runtime/errors.js';

/** Pictures of one class. */
export interface ClassCount {
  readonly label: string;
  readonly training: number;
  readonly validation: number;
}

const LEAST_PICTURES = 32;
/** Of two classes, 40 to 60 is this far out of balance. */
const MOST_UNEQUAL = 60 / 40;
const MOST_SHOWN = 12;
/** A confusion matrix has the square of it. */
const MOST_CLASSES = 1000;

/** Counts by class, by name. */
export function countsOf(
  pictures: readonly { readonly label: string; readonly side: 'training' | 'validation' }[],
): readonly ClassCount[] {
  const counts = new Map<string, { label: string; training: number; validation: number }>();
  for (const { label, side } of pictures) {
    const count = counts.get(label) ?? { label, training: 0, validation: 0 };
    count[side]++;
    counts.set(label, count);
  }
  return [...counts.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
}

/**
 * Refuses what nothing good could be learned from: fewer than 32 pictures, one class, more than 1000, a class that is missing on one side, or classes out of balance:
 * beyond 40 to 60 where there are two, and where there are more, a smallest that has less than two thirds of the largest.
 */
export function checkBalance(counts: readonly ClassCount[]): void {
  const sizes = counts.map(({ training, validation }) => training + validation);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const told = tellCounts(counts);
  if (total < LEAST_PICTURES)
    throw refused(
      'TOO_FEW_PICTURES',
      `${String(total)} pictures can be used, at least ${String(LEAST_PICTURES)} are needed${total === 0 ? '' : `: ${told}`}`,
    );
  if (counts.length < 2)
    throw refused(
      'ONE_CLASS',
      `there is only one class, ${told}: give one folder of pictures for each class`,
    );
  if (counts.length > MOST_CLASSES)
    throw refused(
      'TOO_MANY_CLASSES',
      `there are ${String(counts.length)} classes, ${String(MOST_CLASSES)} can be told apart: ${told}`,
    );
  const missing = counts.find(({ training, validation }) => training === 0 || validation === 0);
  if (missing)
    throw refused(
      'CLASS_MISSING',
      `class ${missing.label} has no pictures for ${missing.training === 0 ? 'training' : 'validation'}: ${told}`,
    );
  if (Math.max(...sizes) > Math.min(...sizes) * MOST_UNEQUAL)
    throw refused('UNBALANCED_CLASSES', `${told}: ${ruleFor(counts.length)}`);
}

function ruleFor(classes: number): string {
  const remedy = 'add pictures to the small ones, or use a sample limit';
  return classes === 2
    ? `the classes are out of balance, 40 to 60 percent is the limit; ${remedy}`
    : `the smallest class has less than two thirds of the largest; ${remedy}`;
}

function tellCounts(counts: readonly ClassCount[]): string {
  const shown = counts
    .slice(0, MOST_SHOWN)
    .map(({ label, training, validation }) => `${label} ${String(training + validation)}`);
  const rest = counts.length - shown.length;
  return [...shown, ...(rest > 0 ? [`and ${String(rest)} more classes`] : [])].join(', ');
}

function refused(reason: string, message: string): FractoryError {
  return new FractoryError(status.FAILED_PRECONDITION, reason, message);
}
