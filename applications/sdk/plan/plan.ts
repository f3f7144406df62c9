import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { PlannedStep, PlanResponse } from '../../../protos/gen/fractory/v1/application.js';
import type { Edge, Graph, Step } from '../../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { sizeOf } from '../../../protos/values.js';

/** A graph as the application node would run it. */
export interface Plan extends PlanLevel {
  readonly name: string;
  readonly topology: 'ring' | 'star';
  /** Longest time of the whole run, ms. */
  readonly budgetMs: number;
}

/** Thrown instead of a run, where only its plan is wanted. */
export class PlanReady extends Error {
  readonly plan: Plan;

  constructor(plan: Plan) {
    super(`the plan of ${plan.name} is ready`);
    this.plan = plan;
  }
}

/** The graph itself, or that of a map. */
export interface PlanLevel {
  /** In an order in which they could run. */
  readonly steps: readonly PlanStep[];
  /** From "": the element of the map. */
  readonly edges: readonly Edge[];
  /** Steps whose results are the result, in its order. */
  readonly ends: readonly string[];
}

export interface PlanStep {
  readonly id: string;
  /** Empty for a map. */
  readonly operation: string;
  /** Members that would do it; inside a map there may be several. */
  readonly members: readonly string[];
  /** Arguments that its capability fixes: it can do nothing with others. */
  readonly fixed: readonly { readonly name: string; readonly value: Value }[];
  /** Kinds of value that it may yield. */
  readonly output: readonly string[];
  readonly idempotent: boolean;
  /** 0 = what is left of the run's budget. */
  readonly timeoutMs: number;
  readonly retries: number;
  /** What is done with each element, if this is a map. */
  readonly each?: PlanLevel;
  /** Elements under way at a time, if this is a map. */
  readonly parallelism?: number;
}

const DEFAULT_PARALLELISM = 8;

/** Puts together what was asked and what the application node said. */
export function planOf(graph: Graph, topology: Topology, response: PlanResponse): Plan {
  const planned = new Map(response.steps.map((step) => [step.step, step]));
  const order = new Map(response.steps.map(({ step }, index) => [step, index]));
  return {
    name: graph.name,
    topology: topology === Topology.STAR ? 'star' : 'ring',
    budgetMs: response.budgetMs,
    ...levelOf(graph, planned, order),
  };
}

/** All steps, those of maps behind their map. */
export function* allSteps(level: PlanLevel): Generator<{ step: PlanStep; level: PlanLevel }> {
  for (const step of level.steps) {
    yield { step, level };
    if (step.each) yield* allSteps(step.each);
  }
}

function levelOf(
  graph: Graph,
  planned: ReadonlyMap<string, PlannedStep>,
  order: ReadonlyMap<string, number>,
): PlanLevel {
  const place = ({ id }: Step): number => order.get(id) ?? graph.steps.length;
  const used = new Set(graph.edges.flatMap(({ from, onFailure }) => (onFailure ? [] : [from])));
  return {
    steps: [...graph.steps]
      .sort((one, other) => place(one) - place(other))
      .map((step) => stepOf(step, planned, order)),
    edges: graph.edges,
    ends: graph.steps.filter(({ id }) => !used.has(id)).map(({ id }) => id),
  };
}

function stepOf(
  step: Step,
  planned: ReadonlyMap<string, PlannedStep>,
  order: ReadonlyMap<string, number>,
): PlanStep {
  const said = planned.get(step.id);
  const fixed = said?.fixed ?? step.arguments;
  return {
    ...{ id: step.id, operation: step.operation, members: said?.members ?? [] },
    fixed: fixed.map(({ name, value }) => ({ name, value: value ?? {} })),
    ...{ output: narrowed(said?.output ?? [], fixed), idempotent: said?.idempotent ?? false },
    timeoutMs: said?.timeoutMs ?? step.timeoutMs,
    retries: said?.retries ?? step.retries,
    ...(step.map && {
      each: levelOf(step.map.graph ?? { name: '', steps: [], edges: [] }, planned, order),
      parallelism: step.map.parallelism || DEFAULT_PARALLELISM,
    }),
  };
}

/** Kinds that have another name as the `as` of an operation of storage. */
const KIND_OF_FORM: Readonly<Record<string, string>> = { names: 'list', json: 'bytes' };

/** What an operation yields is known where its `as` is. */
function narrowed(output: readonly string[], fixed: PlannedStep['fixed']): readonly string[] {
  const form = fixed.find(({ name }) => name === 'as')?.value?.kind;
  if (form?.$case !== 'text') return output;
  const kind = KIND_OF_FORM[form.value] ?? form.value;
  return output.includes(kind) ? [kind] : output;
}

const SHOWN_CHARACTERS = 40;

/** A fixed argument for people; long values are cut short. */
function shownValue(value: Value): string {
  const kind = value.kind;
  switch (kind?.$case) {
    case 'text':
      return JSON.stringify(cut(kind.value));
    case 'integer':
      return cut(kind.value);
    case 'number':
      return String(kind.value);
    case 'list':
      return cut(`[${kind.value.values.slice(0, 10).map(shownValue).join(', ')}]`);
    default:
      return `${kind?.$case ?? 'nothing'} of ${String(sizeOf(value))} bytes`;
  }
}

/** `client = "admin", name = "x.png"` */
export function shownFixed({ fixed }: PlanStep): string {
  return fixed.map(({ name, value }) => `${name} = ${shownValue(value)}`).join(', ');
}

/** `each element, 8 at a time` */
export function shownMap({ parallelism = DEFAULT_PARALLELISM }: PlanStep): string {
  return `each element, ${String(parallelism)} at a time`;
}

/** Limits of a step, or nothing where it has none of its own. */
export function shownLimits({ timeoutMs, retries }: PlanStep): string {
  const limits = [
    ...(timeoutMs > 0 ? [`${String(timeoutMs)} ms`] : []),
    ...(retries > 0 ? [`${String(retries)} ${retries === 1 ? 'retry' : 'retries'}`] : []),
  ];
  return limits.join(', ');
}

export function cut(text: string, characters = SHOWN_CHARACTERS): string {
  return text.length > characters ? `${text.slice(0, characters - 3)}...` : text;
}
