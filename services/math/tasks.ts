import type { MathLimits } from './limits.js';
import { expand, factorial, binomial } from './exact.js';
import type { Expansion } from './exact.js';
import {
  checkCount,
  checkDigits,
  checkInteger,
  DIGITS_PER_BIT,
  log10Binomial,
  log10Factorial,
  log10Of,
  READ_AT_ONCE_DIGITS,
  shown,
} from './integers.js';
import { computeSum, digitsOfSum } from './sums.js';
import type { SumTask } from './sums.js';
import { invalidArgument } from '../../runtime/errors.js';

/** One exact computation; operands are decimal text as it came in. */
export type ExactTask =
  | { readonly kind: 'factorial'; readonly n: string }
  | { readonly kind: 'binomial'; readonly n: string; readonly k: string }
  | { readonly kind: 'expand'; readonly a: string; readonly b: string; readonly n: string }
  | { readonly kind: 'shiftLeft'; readonly n: string; readonly m: string }
  | { readonly kind: 'add' | 'multiply'; readonly n: string; readonly by: string }
  | SumTask;

export type ExactResult<T extends ExactTask> = T['kind'] extends 'expand'
  ? Expansion
  : T['kind'] extends 'split'
    ? string[]
    : string;

/** What a worker gets; the expression's variables are numbers as text. */
export type MathTask =
  | ExactTask
  | {
      readonly kind: 'evaluate';
      readonly expression: string;
      readonly variables: ReadonlyMap<string, string>;
    };

/** A task and the limits that it keeps to. */
export interface MathJob {
  readonly task: MathTask;
  readonly limits: MathLimits;
}

/**
 * Checks a task and estimates how many digits will be computed, without computing them. Throws NOT_AN_INTEGER, OUT_OF_RANGE, or
 * LIMIT_EXCEEDED where the result would be too large.
 */
export function digitsOf(task: ExactTask, limits: MathLimits): number {
  const max = limits.max_result_digits;
  switch (task.kind) {
    case 'shiftLeft': {
      const n = checkInteger('n', task.n, max);
      const digits = n.length + checkCount('m', task.m, max) * DIGITS_PER_BIT;
      // Zero stays zero, but 2^m of it would still be computed.
      checkDigits('n * 2^m', digits, max);
      return digits;
    }
    case 'add':
    case 'multiply': {
      const [n, by] = [checkInteger('n', task.n, max), checkInteger('by', task.by, max)];
      // Estimated from above by one digit, which may not refuse a result of exactly the limit.
      const digits = task.kind === 'add' ? Math.max(n.length, by.length) : n.length + by.length;
      checkDigits('the result', digits - 1, max);
      return digits;
    }
    case 'factorial': {
      const n = checkCount('n', task.n, max);
      const digits = log10Factorial(n) + 1;
      checkDigits(`${shown(task.n.trim()).slice(1, -1)}!`, digits, max);
      return digits;
    }
    case 'binomial':
      return digitsOfBinomial(task.n, task.k, max);
    case 'expand':
      return digitsOfExpansion(task, max);
    case 'split':
    case 'sumPowers':
    case 'sum':
      return digitsOfSum(task, limits);
  }
}

function digitsOfBinomial(nText: string, kText: string, max: number): number {
  const n = checkInteger('n', nText, max);
  if (n.startsWith('-')) throw invalidArgument('n', `${shown(n)} is negative`, 'OUT_OF_RANGE');
  const k = checkInteger('k', kText, max);
  const operands = Math.max(n.length, k.length);
  if (operands > READ_AT_ONCE_DIGITS || k.startsWith('-')) return operands;
  return Math.max(operands, sizeOfBinomial(BigInt(n), BigInt(k), max));
}

function sizeOfBinomial(n: bigint, k: bigint, max: number): number {
  const fewer = k < n - k ? k : n - k;
  if (fewer < 1n) return 1;
  const digits = log10Binomial(log10Of(n), Number(fewer)) + 1;
  checkDigits('n over k', digits, max);
  return digits;
}

/** Coefficients of (a + b)^n have n * log10(2) digits at most, and n * 0.217 on average; each power adds its own. */
function digitsOfExpansion(task: { a: string; b: string; n: string }, max: number): number {
  const n = checkCount('n', task.n, max);
  const size = (field: string, text: string): number =>
    text.trim() === '' ? 0 : checkInteger(field, text, max).replace('-', '').length;
  const [a, b] = [size('a', task.a), size('b', task.b)];
  const coefficients = (n + 1) * (1 + 0.22 * n);
  const values = a > 0 && b > 0 ? coefficients + ((n + 1) * n * (a + b)) / 2 : 0;
  const text = (n + 1) * (a + b);
  const digits = coefficients + values + text;
  checkDigits('the expansion', digits, max);
  return digits;
}

/** Computes what `digitsOf` has let through. */
export function compute<T extends ExactTask>(task: T, limits: MathLimits): ExactResult<T>;
export function compute(task: ExactTask, limits: MathLimits): string | string[] | Expansion {
  switch (task.kind) {
    case 'shiftLeft':
      return String(BigInt(task.n) << BigInt(task.m));
    case 'add':
      return String(BigInt(task.n) + BigInt(task.by));
    case 'multiply':
      return String(BigInt(task.n) * BigInt(task.by));
    case 'factorial':
      return String(factorial(BigInt(task.n)));
    case 'binomial': {
      const [n, k] = [BigInt(task.n), BigInt(task.k)];
      sizeOfBinomial(n, k, limits.max_result_digits);
      return String(binomial(n, k));
    }
    case 'expand':
      return expand(operand(task.a), operand(task.b), Number(task.n));
    case 'split':
    case 'sumPowers':
    case 'sum':
      return computeSum(task, limits);
  }
}

function operand(text: string): bigint | undefined {
  return text.trim() === '' ? undefined : BigInt(text);
}
