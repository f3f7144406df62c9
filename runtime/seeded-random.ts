/** Draws numbers from 0 to 1, not 1. */
export type Random = () => number;

/** The same numbers for the same seed: small, fast, no secret (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number between two, both included. */
export function wholeBetween(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

/** One of several, each as likely as its weight says; undefined where nothing has one. */
export function weighted<T>(
  random: Random,
  choices: readonly (readonly [choice: T, weight: number])[],
): T | undefined {
  const sum = choices.reduce((total, [, weight]) => total + weight, 0);
  let left = random() * sum;
  for (const [choice, weight] of choices) {
    left -= weight;
    if (weight > 0 && left < 0) return choice;
  }
  return undefined;
}
