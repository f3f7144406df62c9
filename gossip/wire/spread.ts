/** The golden ratio's part of one: steps of it fall everywhere alike, however many they are. */
const GOLDEN = 0.618;

/**
 * All items, each once, in an order of which every part looks like the whole: neighbours of a sorted list stand far apart. So a table that was filled with the first members of a
 * state fits the later ones, whatever order they joined in.
 */
export function* spread<T>(items: readonly T[]): Generator<T> {
  const { length } = items;
  let step = Math.max(1, Math.round(GOLDEN * length));
  while (commonDivisor(step, length) > 1) step++;
  for (let count = 0, at = 0; count < length; count++, at = (at + step) % length)
    yield items[at] as T;
}

function commonDivisor(one: number, other: number): number {
  return other === 0 ? one : commonDivisor(other, one % other);
}
