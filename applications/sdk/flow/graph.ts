import type { Edge, Graph, Step } from '../../../protos/gen/fractory/v1/graph.js';
import { badFlow } from './flow.js';
import type { AnyFlow, Part, StepLimits } from './flow.js';

/** Where a value comes from: the result of a step, its failure, or (from "") the element of a map. */
interface Outlet {
  readonly from: string;
  readonly onFailure: boolean;
}

/** What flows at one place of a flow. */
type Stream =
  | { readonly kind: 'nothing' }
  /** One value; several outlets are alternatives. */
  | { readonly kind: 'value'; readonly outlets: readonly Outlet[] }
  | { readonly kind: 'all'; readonly streams: readonly Stream[] }
  /** Values on their way into arguments of the next step. */
  | { readonly kind: 'inputs'; readonly inputs: readonly (readonly [string, readonly Outlet[]])[] };

const NOTHING: Stream = { kind: 'nothing' };
const ELEMENT: Stream = { kind: 'value', outlets: [{ from: '', onFailure: false }] };

type PartOf<Kind extends Part['kind']> = Extract<Part, { readonly kind: Kind }>;

/**
 * The graph of a flow: ids are the verb and its place, such as `read-1`; no two steps have the same, inside of maps or out. Throws INVALID_ARGUMENT,
 * reason BAD_FLOW, where the flow can't be a graph and the compiler could not tell.
 */
export function graphOf(name: string, flow: AnyFlow): Graph {
  return new GraphBuilder(name, { steps: 0 }).build(flow.part, NOTHING);
}

/** Builds one level: a graph, or that of a map. */
class GraphBuilder {
  readonly #name: string;
  readonly #count: { steps: number };
  readonly #steps: Step[] = [];
  readonly #edges: Edge[] = [];

  constructor(name: string, count: { steps: number }) {
    this.#name = name;
    this.#count = count;
  }

  build(part: Part, stream: Stream): Graph {
    this.#checkEnd(this.#add(part, stream, {}));
    return { name: this.#name, steps: this.#steps, edges: this.#edges };
  }

  /** Adds the steps of a part; returns what flows out. */
  #add(part: Part, stream: Stream, limits: StepLimits): Stream {
    switch (part.kind) {
      case 'step':
        return this.#addStep(part, stream, limits);
      case 'sequence':
        return part.parts.reduce((flowing, next) => this.#add(next, flowing, limits), stream);
      case 'parallel':
        return {
          kind: 'all',
          streams: part.branches.map((branch) => this.#add(branch, stream, limits)),
        };
      case 'alongside':
        if (stream.kind !== 'value') throw badFlow('alongside needs one value that flows in');
        return { kind: 'all', streams: [stream, this.#add(part.part, stream, limits)] };
      case 'join':
        return this.#add(part.part, joined(stream, part.names), limits);
      case 'recovery':
        return this.#addRecovery(part, stream, limits);
      case 'map':
        return this.#addMap(part, stream, limits);
      case 'limits':
        return this.#add(part.part, stream, { ...limits, ...part.limits });
    }
  }

  #addStep(part: PartOf<'step'>, stream: Stream, limits: StepLimits): Stream {
    const { operation, arguments: fixed, input } = part;
    const id = this.#nextId(operation.split('.').at(-1) ?? '');
    this.#steps.push({
      id,
      operation,
      arguments: Object.entries(fixed).map(([name, value]) => ({ name, value })),
      timeoutMs: limits.timeoutMs ?? 0,
      retries: limits.retries ?? 0,
      map: undefined,
    });
    for (const [argument, outlets] of inputsOf(stream, input, id))
      this.#lead(outlets, id, argument);
    return valueFrom([id]);
  }

  #addMap(part: PartOf<'map'>, stream: Stream, limits: StepLimits): Stream {
    const id = this.#nextId('map');
    if (stream.kind === 'inputs')
      throw badFlow(`${id} takes a list that one step yields, not a join`);
    const step: Step = {
      ...{ id, operation: '', timeoutMs: 0, retries: 0 },
      arguments: part.elements ? [{ name: 'input', value: part.elements }] : [],
      map: { graph: undefined, parallelism: part.parallelism },
    };
    // Its place is before its inner steps: their ids follow.
    this.#steps.push(step);
    const inner = new GraphBuilder('', this.#count);
    const limited: Part = { kind: 'limits', part: part.part, limits };
    step.map = { graph: inner.build(limited, ELEMENT), parallelism: part.parallelism };
    for (const [argument, outlets] of inputsOf(stream, 'input', id))
      this.#lead(outlets, id, argument);
    return valueFrom([id]);
  }

  /** Steps that have a handler already, further inside, keep it. */
  #addRecovery(part: PartOf<'recovery'>, stream: Stream, limits: StepLimits): Stream {
    const before = this.#steps.length;
    const yielded = this.#add(part.part, stream, limits);
    const handled = new Set(
      this.#edges.flatMap(({ from, onFailure }) => (onFailure ? [from] : [])),
    );
    const guarded = this.#steps.slice(before).filter(({ id }) => !handled.has(id));
    const failures = guarded.map(({ id }) => ({ from: id, onFailure: true }));
    const recovered = this.#add(part.handler, { kind: 'value', outlets: failures }, limits);
    if (yielded.kind !== 'value' || recovered.kind !== 'value' || failures.length === 0)
      throw badFlow('the flow and the handler of onFailure yield one value each; join it inside');
    return { kind: 'value', outlets: [...yielded.outlets, ...recovered.outlets] };
  }

  #lead(outlets: readonly Outlet[], to: string, argument: string): void {
    for (const { from, onFailure } of outlets)
      this.#edges.push({ from, to, argument: argument === 'input' ? '' : argument, onFailure });
  }

  #nextId(verb: string): string {
    return `${verb}-${String(++this.#count.steps)}`;
  }

  /** The result of a graph is that of its last steps, in their order: exactly what flows out must be it. */
  #checkEnd(stream: Stream): void {
    const ends = stream.kind === 'all' ? stream.streams : [stream];
    const used = new Set(this.#edges.flatMap(({ from, onFailure }) => (onFailure ? [] : [from])));
    if (stream.kind === 'all' && ends.length < 2)
      throw badFlow('parallel at the end of a graph needs two flows or more');
    for (const end of ends) {
      if (end.kind === 'nothing') throw badFlow('a flow needs at least one step');
      if (end.kind !== 'value') throw badFlow('parallel inside of parallel must be joined');
      for (const { from, onFailure } of end.outlets)
        if (from === '' || onFailure || used.has(from))
          throw badFlow(
            `what flows out at the end must come from a last step, not from ${from === '' ? 'the element' : from}`,
          );
    }
  }
}

function valueFrom(ids: readonly string[]): Stream {
  return { kind: 'value', outlets: ids.map((from) => ({ from, onFailure: false })) };
}

function joined(stream: Stream, names: readonly string[] | undefined): Stream {
  if (stream.kind !== 'all') throw badFlow('join needs the flows of parallel before it');
  if (names && names.length !== stream.streams.length)
    throw badFlow(
      `join has ${String(names.length)} names for ${String(stream.streams.length)} flows`,
    );
  const inputs = stream.streams.map((one, index) => {
    if (one.kind !== 'value') throw badFlow('each flow that is joined yields one value');
    return [names?.[index] ?? `input[${String(index)}]`, one.outlets] as const;
  });
  return { kind: 'inputs', inputs };
}

function inputsOf(
  stream: Stream,
  input: string,
  id: string,
): readonly (readonly [string, readonly Outlet[]])[] {
  switch (stream.kind) {
    case 'nothing':
      return [];
    case 'value':
      return [[input, stream.outlets]];
    case 'inputs':
      return stream.inputs;
    case 'all':
      throw badFlow(`several values flow into ${id}; join(...) leads them into one step`);
  }
}
