import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import type { FieldViolation } from '../../../runtime/errors.js';

/** Everything that is wrong with a graph, in one error. */
export function badGraph(violations: readonly FieldViolation[]): FractoryError {
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new FractoryError(status.INVALID_ARGUMENT, 'BAD_GRAPH', text, { violations });
}

const MOST_NAMES = 5;

/** The first few of several names, for people. */
export function someOf(names: readonly string[]): string {
  const left = names.length - MOST_NAMES;
  const shown = names.slice(0, MOST_NAMES).join(', ');
  return left > 0 ? `${shown} and ${String(left)} more` : shown;
}
