import type { Allowance } from '../capabilities/caveats.js';

/** Id of the step that may use a capability: `sum`, in maps with the numbers of the items, outermost first: `sum[3][0]`. */
export function stepIdOf({ step, items }: Allowance): string | undefined {
  if (!step) return undefined;
  return items.length === 0
    ? step.step
    : step.step + items.map((item) => `[${String(item)}]`).join('');
}
