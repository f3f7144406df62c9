import type { Edge } from '../../../protos/gen/fractory/v1/graph.js';
import { toPlain } from '../../../protos/values.js';
import { allSteps, shownFixed, shownLimits, shownMap } from './plan.js';
import type { Plan, PlanLevel, PlanStep } from './plan.js';

const LABEL_CHARACTERS = 7;

/** A plan for people: each step with what it takes, what it may touch, how long, and what it yields. */
export function planLines(plan: Plan): string[] {
  const count = [...allSteps(plan)].length;
  const seconds = String(plan.budgetMs / 1000);
  const headline = `plan of ${plan.name}: ${String(count)} ${count === 1 ? 'step' : 'steps'} as a ${plan.topology}, ${seconds} s at most; nothing has run`;
  return [headline, '', ...levelLines(plan)];
}

/** The same as plain data. */
export function planAsData(plan: Plan): Record<string, unknown> {
  const steps = [...allSteps(plan)].map(({ step, level }) => ({
    step: step.id,
    operation: step.operation,
    members: step.members,
    fixed: Object.fromEntries(step.fixed.map(({ name, value }) => [name, toPlain(value)])),
    inputs: inputsOf(step, level).map(({ from, argument, onFailure }) => ({
      ...{ argument: argument || 'input', from, onFailure },
    })),
    output: step.output,
    idempotent: step.idempotent,
    timeoutMs: step.timeoutMs,
    retries: step.retries,
    ...(step.each && { parallelism: step.parallelism, each: step.each.steps.map(({ id }) => id) }),
    end: level.ends.includes(step.id),
  }));
  return { plan: plan.name, topology: plan.topology, budgetMs: plan.budgetMs, steps };
}

function levelLines(level: PlanLevel, resultName = 'the result'): string[] {
  return level.steps.flatMap((step) => [
    ...stepLines(step, level, resultName),
    ...(step.each
      ? levelLines(step.each, 'the result of the element').map((line) => `    ${line}`)
      : []),
  ]);
}

function stepLines(step: PlanStep, level: PlanLevel, resultName: string): string[] {
  const who = step.members.length > 0 ? ` on ${step.members.join(', ')}` : '';
  const result = level.ends.includes(step.id) ? `, ${resultName}` : '';
  const facts: readonly (readonly [string, string])[] = [
    ['takes', shownInputs(inputsOf(step, level))],
    ['fixed:', shownFixed(step)],
    ['at most', shownLimits(step)],
    ['yields', `${step.output.join(' or ') || (step.each ? 'list' : 'anything')}${result}`],
  ];
  return [
    `${step.id}  ${step.each ? shownMap(step) : step.operation}${who}`,
    ...facts.flatMap(([label, fact]) =>
      fact === '' ? [] : [`    ${label.padEnd(LABEL_CHARACTERS)}  ${fact}`],
    ),
  ];
}

function inputsOf(step: PlanStep, level: PlanLevel): readonly Edge[] {
  return level.edges.filter(({ to }) => to === step.id);
}

function shownInputs(edges: readonly Edge[]): string {
  const failures = edges.filter(({ onFailure }) => onFailure).map(({ from }) => from);
  const results = edges.filter(({ onFailure }) => !onFailure).map(shownInput);
  const failed = failures.length > 0 ? [`the failure of ${failures.join(' or ')}`] : [];
  return [...results, ...failed].join(', ');
}

function shownInput({ from, argument }: Edge): string {
  const source = from === '' ? 'the element' : from;
  return argument === '' || argument === 'input' ? source : `${argument} from ${source}`;
}
