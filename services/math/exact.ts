/** Exact arithmetic on integers of any size. Pure; callers check sizes first. */

/** Product of from, from + 1, ..., to; halves of equal size keep the multiplications fast. */
export function productOf(from: bigint, to: bigint): bigint {
  if (from > to) return 1n;
  if (to - from < 16n) {
    let product = from;
    for (let factor = from + 1n; factor <= to; factor++) product *= factor;
    return product;
  }
  const middle = (from + to) / 2n;
  return productOf(from, middle) * productOf(middle + 1n, to);
}

export function factorial(n: bigint): bigint {
  return productOf(1n, n);
}

/** n over k for n >= 0; 0 where k is negative or greater than n. */
export function binomial(n: bigint, k: bigint): bigint {
  if (k < 0n || k > n) return 0n;
  const fewer = k < n - k ? k : n - k;
  return productOf(n - fewer + 1n, n) / productOf(1n, fewer);
}

export function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** The greatest integer whose square is at most n, for n >= 0 (Newton). */
export function squareRoot(n: bigint): bigint {
  if (n < 2n) return n;
  let guess = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const next = (guess + n / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

/** coefficient * a^aPower * b^bPower; all numbers are decimal text. */
export interface Term {
  readonly coefficient: string;
  readonly aPower: number;
  readonly bPower: number;
  /** Value of the term, where a and b are numbers. */
  readonly value: string;
}

export interface Expansion {
  readonly terms: Term[];
  /** (a + b)^n, where a and b are numbers; else empty. */
  readonly value: string;
  /** All terms as one line in the syntax of `evaluate`. */
  readonly text: string;
}

/** The terms of (a + b)^n from a^n to b^n; an operand that is undefined stays a symbol. */
export function expand(a: bigint | undefined, b: bigint | undefined, n: number): Expansion {
  const terms: Term[] = [];
  const words: string[] = [];
  const names = { a: nameOf(a, 'a'), b: nameOf(b, 'b') };
  let coefficient = 1n;
  for (let bPower = 0; bPower <= n; bPower++) {
    const aPower = n - bPower;
    const value =
      a === undefined || b === undefined
        ? ''
        : String(coefficient * a ** BigInt(aPower) * b ** BigInt(bPower));
    terms.push({ coefficient: String(coefficient), aPower, bPower, value });
    words.push(wordOf(coefficient, [power(names.a, aPower), power(names.b, bPower)]));
    coefficient = (coefficient * BigInt(aPower)) / BigInt(bPower + 1);
  }
  const value = a === undefined || b === undefined ? '' : String((a + b) ** BigInt(n));
  return { terms, value, text: words.join(' + ') };
}

function nameOf(operand: bigint | undefined, symbol: string): string {
  if (operand === undefined) return symbol;
  return operand < 0n ? `(${String(operand)})` : String(operand);
}

function power(name: string, exponent: number): string {
  if (exponent === 0) return '';
  return exponent === 1 ? name : `${name}^${String(exponent)}`;
}

function wordOf(coefficient: bigint, factors: string[]): string {
  const present = factors.filter((factor) => factor !== '');
  if (coefficient !== 1n || present.length === 0) present.unshift(String(coefficient));
  return present.join('*');
}
