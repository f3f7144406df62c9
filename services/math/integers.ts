import { invalidArgument, limitExceeded } from '../../runtime/errors.js';

const INTEGER = /^-?[0-9]+$/;
const SHOWN_CHARACTERS = 40;

/** `log10(2)`: decimal digits per bit. */
export const DIGITS_PER_BIT = Math.log10(2);

/** Operands longer than this are only read in a worker, which then checks the size of the result itself. */
export const READ_AT_ONCE_DIGITS = 2000;

/** Checks that `text` is an integer in decimal (white space around it is fine) and not past the limit; NOT_AN_INTEGER otherwise. */
export function checkInteger(field: string, text: string, maxDigits: number): string {
  // Longer than any integer within the limit with white space around it: refused without a look at each character.
  if (text.length > maxDigits + 64)
    throw limitExceeded('max_result_digits', `${String(text.length)} characters`, maxDigits, {
      what: field,
    });
  const trimmed = text.trim();
  if (!INTEGER.test(trimmed))
    throw invalidArgument(field, `${shown(trimmed)} is not an integer`, 'NOT_AN_INTEGER');
  if (trimmed.length > maxDigits + 1) throw tooManyDigits(field, trimmed.length, maxDigits);
  return trimmed;
}

/** An integer from 0 up that fits a double exactly: counts, exponents. */
export function checkCount(field: string, text: string, maxDigits: number): number {
  const integer = checkInteger(field, text, maxDigits);
  if (integer.startsWith('-') && !/^-0+$/.test(integer))
    throw invalidArgument(field, `${shown(integer)} is negative`, 'OUT_OF_RANGE');
  // Past 2^53 a count only serves to be compared with limits, so rounding does no harm.
  return Number(integer);
}

/** Refuses a result of about `digits` digits before it is computed. */
export function checkDigits(what: string, digits: number, maxDigits: number): void {
  if (digits > maxDigits) throw tooManyDigits(what, Math.floor(digits), maxDigits);
}

/** Common logarithm of |n| + 1, good to a few digits for any size. */
export function log10Of(n: bigint): number {
  const magnitude = n < 0n ? -n : n;
  if (magnitude <= 0x1fffffffffffffn) return Math.log10(Number(magnitude) + 1);
  const hex = magnitude.toString(16);
  return (
    Math.log10(Number.parseInt(hex.slice(0, 12), 16)) +
    (hex.length - Math.min(12, hex.length)) * Math.log10(16)
  );
}

/** Common logarithm of n! (Stirling's series; exact enough for limits). */
export function log10Factorial(n: number): number {
  if (n < 2) return 0;
  const natural = n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + 1 / (12 * n);
  return natural / Math.LN10;
}

/** Common logarithm of n over k for 0 < k <= n/2, without the cancellation that factorials would bring. */
export function log10Binomial(log10N: number, k: number): number {
  if (k < 1) return 0;
  const n = 10 ** log10N;
  const rest = n > 1e15 ? k : -(n - k) * Math.log1p(-k / n);
  const scale = n > 1e15 ? 1 : (n - k) / n;
  const natural = k * (log10N * Math.LN10 - Math.log(k)) + rest;
  return (natural - 0.5 * Math.log(2 * Math.PI * k * scale)) / Math.LN10;
}

/** The head of a long text, quoted, for an error. */
export function shown(text: string): string {
  return JSON.stringify(
    text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text,
  );
}

function tooManyDigits(what: string, digits: number, maxDigits: number): Error {
  return limitExceeded('max_result_digits', `about ${countText(digits)} digits`, maxDigits, {
    what,
  });
}

/** A count, or where it is so large that it is an estimate, its size: 4.1e166. */
function countText(count: number): string {
  return count < 1e15 ? String(count) : count.toExponential(1).replace('e+', 'e');
}
