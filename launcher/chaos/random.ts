import type { Random } from '../../runtime/seeded-random.js';

export type { Random };

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
