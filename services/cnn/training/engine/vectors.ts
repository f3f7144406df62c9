import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../../runtime/errors.js';
import type { EngineState } from './engine.js';
import { sizeOf, type Parameter, type Vector } from './parameters.js';
import { normalOf } from './normal-numbers.js';
import { VECTORS, type VectorName } from './training-graph.js';

/** All numbers of a training. */
export type Vectors = Readonly<Record<VectorName, Float32Array<ArrayBuffer>>>;

/** Name in the state of the count of steps. */
const STEPS = 'steps';

export function initialVectors(parameters: Vector, statistics: Vector, seed: number): Vectors {
  const next = normalOf(seed);
  const weights = started(parameters, next);
  const measured = started(statistics, next);
  return {
    weights,
    momenta: new Float32Array(parameters.length),
    statistics: measured,
    averaged_weights: weights.slice(),
    averaged_statistics: measured.slice(),
  };
}

/** A copy, one entry per vector and part: VECTOR/PART. */
export function stateOf(
  vectors: Vectors,
  parameters: Vector,
  statistics: Vector,
  steps: number,
): EngineState {
  const state = new Map<string, Float32Array>([[STEPS, Float32Array.of(steps)]]);
  for (const { key, view } of entriesOf(vectors, parameters, statistics))
    state.set(key, view.slice());
  return state;
}

/** Fills the vectors; returns the count of steps. Changes nothing where a part is missing or has another length. */
export function readState(
  state: EngineState,
  vectors: Vectors,
  parameters: Vector,
  statistics: Vector,
): number {
  const entries = entriesOf(vectors, parameters, statistics);
  for (const { key, part } of entries) {
    const length = state.get(key)?.length ?? 0;
    if (length === sizeOf(part)) continue;
    const message = `state of a training: ${key} has ${String(length)} numbers, the network has ${String(sizeOf(part))}`;
    throw new FractoryError(status.INVALID_ARGUMENT, 'WRONG_STATE', message);
  }
  for (const { key, view } of entries) view.set(state.get(key) ?? []);
  return state.get(STEPS)?.[0] ?? 0;
}

function entriesOf(
  vectors: Vectors,
  parameters: Vector,
  statistics: Vector,
): { key: string; part: Parameter; view: Float32Array }[] {
  return VECTORS.flatMap((name) => {
    const vector = name.endsWith('statistics') ? statistics : parameters;
    return vector.parts.map((part) => ({
      key: `${name}/${part.name}`,
      part,
      view: vector.view(vectors[name], part),
    }));
  });
}

function started(vector: Vector, next: () => number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(vector.length);
  for (const part of vector.parts) {
    const view = vector.view(values, part);
    const { start } = part;
    if (start.kind === 'constant') view.fill(start.value);
    else view.forEach((_, index) => (view[index] = next() * start.deviation));
  }
  return values;
}
