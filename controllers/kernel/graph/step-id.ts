import type { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import { allowanceOf } from '../capabilities/caveats.js';
import type { Allowance } from '../capabilities/caveats.js';

/** Id of the step that may use a capability: `sum`, in maps with the numbers of the items, outermost first: `sum[3][0]`. */
export function stepIdOf({ step, items }: Allowance): string | undefined {
  if (!step) return undefined;
  return items.length === 0
    ? step.step
    : step.step + items.map((item) => `[${String(item)}]`).join('');
}

/** Id of the step that an invocation is for; empty where it is for none, or where nobody can read its caveats. */
export function stepIdIn({ capability }: Invocation): string {
  try {
    return stepIdOf(allowanceOf(capability?.caveats ?? [])) ?? '';
  } catch {
    return '';
  }
}
