import { toJson } from '../output.js';
import { planAsMermaid } from './mermaid.js';
import type { Plan } from './plan.js';
import { planAsSvg } from './svg.js';
import { planAsData, planLines } from './text.js';

/** How a plan is printed: for people, for programs, and as a drawing in two ways. */
export const PLAN_FORMATS = ['text', 'json', 'mermaid', 'svg'] as const;
export type PlanFormat = (typeof PLAN_FORMATS)[number];

/** A plan as lines of output. */
export function printedPlan(plan: Plan, format: PlanFormat): string[] {
  switch (format) {
    case 'text':
      return planLines(plan);
    case 'json':
      return [toJson(planAsData(plan))];
    case 'mermaid':
      return planAsMermaid(plan);
    case 'svg':
      return planAsSvg(plan);
  }
}
