import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import {
  checkCount,
  checkDigits,
  checkInteger,
  log10Of,
  READ_AT_ONCE_DIGITS,
  shown,
} from './integers.js';
import type { MathLimits } from './limits.js';

/** Sums in parts: a range is split, the powers in each part are summed, and the sums are added. Operands are decimal text. */
export type SumTask =
  /** 1..n as ranges of (nearly) equal length. */
  | { readonly kind: 'split'; readonly n: string; readonly parts: string }
  /** Sum of k^exponent for k in `range`, such as "1..100". */
  | { readonly kind: 'sumPowers'; readonly range: string; readonly exponent: string }
  | { readonly kind: 'sum'; readonly terms: readonly string[] };

/** Like `digitsOf`: the digits of all numbers that will be computed; errors where they are too many. */
export function digitsOfSum(task: SumTask, limits: MathLimits): number {
  switch (task.kind) {
    case 'split':
      return digitsOfSplit(task, limits);
    case 'sumPowers':
      return digitsOfPowers(task, limits);
    case 'sum':
      return digitsOfTerms(task.terms, limits);
  }
}

/** Computes what `digitsOfSum` has let through. */
export function computeSum(task: SumTask, limits: MathLimits): string | string[] {
  switch (task.kind) {
    case 'split':
      return splitRange(BigInt(task.n), BigInt(task.parts));
    case 'sumPowers': {
      const { from, to } = readRange(task.range, limits);
      checkTerms(from, to, Number(task.exponent), limits);
      return String(sumPowers(from, to, BigInt(task.exponent)));
    }
    case 'sum':
      return String(task.terms.reduce((sum, term) => sum + BigInt(term), 0n));
  }
}

/** 1..n as at most `parts` ranges that differ in length by one at most, in order; none where n is 0. */
export function splitRange(n: bigint, parts: bigint): string[] {
  const count = parts < n ? parts : n;
  return Array.from({ length: Number(count) }, (_, index) => {
    const from = (n * BigInt(index)) / count + 1n;
    const to = (n * BigInt(index + 1)) / count;
    return `${String(from)}..${String(to)}`;
  });
}

/** Sum of k^exponent for k from `from` to `to`; 0 where there is no such k. */
function sumPowers(from: bigint, to: bigint, exponent: bigint): bigint {
  let sum = 0n;
  for (let k = from; k <= to; k++) sum += k ** exponent;
  return sum;
}

function digitsOfSplit(task: { n: string; parts: string }, limits: MathLimits): number {
  const max = limits.max_result_digits;
  const n = checkInteger('n', task.n, max);
  if (n.startsWith('-')) throw invalidArgument('n', `${shown(n)} is negative`, 'OUT_OF_RANGE');
  const parts = checkCount('parts', task.parts, max);
  if (parts < 1) throw invalidArgument('parts', 'is 0, expected 1 or more', 'OUT_OF_RANGE');
  if (parts > limits.max_elements)
    throw limitExceeded('max_elements', parts, limits.max_elements, { what: 'the parts' });
  const count = n.length > 15 ? parts : Math.min(parts, Number(n));
  const digits = 2 * n.length * count;
  checkDigits('the ranges', digits, max);
  return digits;
}

function digitsOfPowers(task: { range: string; exponent: string }, limits: MathLimits): number {
  const exponent = checkCount('exponent', task.exponent, limits.max_result_digits);
  if (task.range.length > READ_AT_ONCE_DIGITS) return task.range.length;
  const { from, to } = readRange(task.range, limits);
  return checkTerms(from, to, exponent, limits);
}

/** Digits of all terms of a sum of powers. */
function checkTerms(from: bigint, to: bigint, exponent: number, limits: MathLimits): number {
  const terms = to < from ? 0n : to - from + 1n;
  if (terms > BigInt(limits.max_terms))
    throw limitExceeded('max_terms', shownCount(terms), limits.max_terms, { what: 'the range' });
  const digits = Math.max(log10Of(from), log10Of(to)) * exponent + 1;
  checkDigits('the sum', digits, limits.max_result_digits);
  return digits * Number(terms);
}

function digitsOfTerms(terms: readonly string[], limits: MathLimits): number {
  const max = limits.max_result_digits;
  return terms.reduce((sum, term) => sum + checkInteger('input', term, max).length, 0);
}

const RANGE = /^\s*(-?[0-9]+)\.\.(-?[0-9]+)\s*$/;

function readRange(text: string, limits: MathLimits): { from: bigint; to: bigint } {
  const max = limits.max_result_digits;
  if (text.length > 2 * max + 64)
    throw limitExceeded('max_result_digits', `${String(text.length)} characters`, max, {
      what: 'the range',
    });
  const [, from, to] = RANGE.exec(text) ?? [];
  if (from === undefined || to === undefined)
    throw invalidArgument('input', `${shown(text)} is no range such as 1..100`, 'NOT_A_RANGE');
  return {
    from: BigInt(checkInteger('input', from, max)),
    to: BigInt(checkInteger('input', to, max)),
  };
}

function shownCount(count: bigint): string {
  const text = String(count);
  return text.length > 40 ? `a number of ${String(text.length)} digits` : text;
}
