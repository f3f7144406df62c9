import type { Random } from '../../../../runtime/seeded-random.js';
import { randomOf } from '../random.js';

/** Normal numbers with deviation 1 that depend on the seed only (Box and Muller 1958). */
export function normalOf(seed: number): Random {
  const next = randomOf(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
