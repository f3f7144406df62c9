/** Types that stop first and last; the others, also those of tomorrow, stand between, in alphabetical order. */
const FIRST = ['application'];
const LAST = ['storage', 'block'];

/** The order in which device types stop: those that need others before those that are needed. */
export function stopStages(types: Iterable<string>): string[] {
  const rank = (type: string): number =>
    FIRST.includes(type) ? 0 : LAST.includes(type) ? 2 + LAST.indexOf(type) : 1;
  return [...new Set(types)].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
