import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { gcd, squareRoot } from './exact.js';

/** An exact fraction. Invariant: `den` > 0 and both have no common factor. */
export interface Rational {
  readonly num: bigint;
  readonly den: bigint;
}

/** Significant digits that a fraction is printed with where its decimals don't end before. */
const SHOWN_DIGITS = 32;

export const integer = (num: bigint): Rational => ({ num, den: 1n });

export function ratio(num: bigint, den: bigint): Rational {
  if (den === 1n) return { num, den };
  if (den === 0n)
    throw new FractoryError(status.INVALID_ARGUMENT, 'DIVISION_BY_ZERO', 'division by zero');
  const common = gcd(num, den) * (den < 0n ? -1n : 1n);
  return { num: num / common, den: den / common };
}

/** Reads decimal text: `12`, `-0.5`, `1e3`. */
export function parseRational(text: string): Rational {
  const [mantissa = '', exponent = '0'] = text.trim().toLowerCase().split('e');
  const [whole = '', decimals = ''] = mantissa.replace('+', '').split('.');
  const digits = BigInt(`${whole}${decimals}` === '-' ? '0' : magnitude(whole, decimals));
  const num = whole.startsWith('-') ? -digits : digits;
  const shift = Number(exponent) - decimals.length;
  return shift >= 0 ? integer(num * 10n ** BigInt(shift)) : ratio(num, 10n ** BigInt(-shift));
}

function magnitude(whole: string, decimals: string): string {
  return `0${whole.replace('-', '')}${decimals}`;
}

export const isInteger = (a: Rational): boolean => a.den === 1n;
export const add = (a: Rational, b: Rational): Rational =>
  ratio(a.num * b.den + b.num * a.den, a.den * b.den);
export const negate = (a: Rational): Rational => ({ num: -a.num, den: a.den });
export const subtract = (a: Rational, b: Rational): Rational => add(a, negate(b));
export const multiply = (a: Rational, b: Rational): Rational => ratio(a.num * b.num, a.den * b.den);
export const divide = (a: Rational, b: Rational): Rational => ratio(a.num * b.den, a.den * b.num);
export const abs = (a: Rational): Rational => (a.num < 0n ? negate(a) : a);
/** Negative, zero or positive, as a is less than, equal to or greater than b. */
export const compare = (a: Rational, b: Rational): number => {
  const difference = a.num * b.den - b.num * a.den;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
};

export function floor(a: Rational): Rational {
  const quotient = a.num / a.den;
  return integer(a.num < 0n && quotient * a.den !== a.num ? quotient - 1n : quotient);
}

/** Remainder with the sign of the divisor, as in mathjs; x mod 0 = x. */
export function mod(a: Rational, b: Rational): Rational {
  return b.num === 0n ? a : subtract(a, multiply(b, floor(divide(a, b))));
}

/** a^exponent for a whole exponent. */
export function power(a: Rational, exponent: bigint): Rational {
  if (exponent >= 0n) return { num: a.num ** exponent, den: a.den ** exponent };
  return ratio(a.den ** -exponent, a.num ** -exponent);
}

/** The square root where it is a fraction itself. */
export function rationalRoot(a: Rational): Rational | undefined {
  if (a.num < 0n) return undefined;
  const [num, den] = [squareRoot(a.num), squareRoot(a.den)];
  return num * num === a.num && den * den === a.den ? { num, den } : undefined;
}

/** Decimal text: all digits where the decimals end within 32 significant digits, else rounded to 32. */
export function toDecimal(a: Rational): string {
  if (a.den === 1n) return String(a.num);
  const sign = a.num < 0n ? '-' : '';
  const { num, den } = abs(a);
  const whole = String(num / den);
  if (num < den) return sign + small(num, den);
  return sign + fixed(num, den, Math.max(1, SHOWN_DIGITS - whole.length));
}

/** Rounded to `places` decimals, half up, without zeros at the end. */
function fixed(num: bigint, den: bigint, places: number): string {
  const scaled = (2n * num * 10n ** BigInt(places) + den) / (2n * den);
  const digits = String(scaled).padStart(places + 1, '0');
  const decimals = digits.slice(-places).replace(/0+$/, '');
  const whole = digits.slice(0, -places);
  return decimals === '' ? whole : `${whole}.${decimals}`;
}

/** Below 1: leading zeros don't count as significant; very small numbers get an exponent. */
function small(num: bigint, den: bigint): string {
  const zeros = Math.max(0, String(den).length - String(num).length - 1);
  if (zeros < 6) return fixed(num, den, zeros + SHOWN_DIGITS);
  const exponent = zeros + 1;
  const scaled = num * 10n ** BigInt(exponent);
  return scaled >= den
    ? `${fixed(scaled, den, SHOWN_DIGITS - 1)}e-${String(exponent)}`
    : `${fixed(scaled * 10n, den, SHOWN_DIGITS - 1)}e-${String(exponent + 1)}`;
}
