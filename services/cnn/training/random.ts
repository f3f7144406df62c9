import type { Random } from '../../../runtime/seeded-random.js';

/** A stream of numbers that depends on these parts only (sfc32 over a mixed seed): what is drawn for one thing never depends on what was drawn for others. */
export function randomOf(...parts: readonly (number | bigint)[]): Random {
  let [a, b, c] = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
  for (const part of parts) {
    const value = BigInt.asUintN(64, BigInt(part));
    a = mix(a ^ Number(value & 0xffffffffn));
    b = mix(b ^ a ^ Number(value >> 32n));
    c = mix(c ^ b);
  }
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let turn = 0; turn < 12; turn++) next();
  return next;
}

/** 0 to count - 1 in a random order. */
export function permutation(count: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    const kept = order[at] ?? 0;
    order[at] = order[other] ?? 0;
    order[other] = kept;
  }
  return order;
}

/** The finaliser of MurmurHash3. */
function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) | 0;
}
