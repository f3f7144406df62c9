import { filterShape } from './filters.js';
import { unitsOf, type Architecture, type Unit } from './networks.js';

/** How the first value of a parameter is drawn. */
export type Start =
  | { readonly kind: 'constant'; readonly value: number }
  /** Normal with this deviation. */
  | { readonly kind: 'normal'; readonly deviation: number };

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: Start;
  /** Weight decay pulls it towards zero: filters and weights, not norms and biases. */
  readonly decays: boolean;
}

/** A vector of all numbers of a kind, and where in it each named part lies. */
export class Vector {
  readonly parts: readonly Parameter[];
  readonly length: number;
  readonly #offsets = new Map<string, number>();

  constructor(parts: readonly Parameter[]) {
    this.parts = parts;
    let length = 0;
    for (const part of parts) {
      this.#offsets.set(part.name, length);
      length += sizeOf(part);
    }
    this.length = length;
  }

  /** A view, not a copy. */
  view(values: Float32Array, part: Parameter): Float32Array {
    const offset = this.#offsets.get(part.name) ?? 0;
    return values.subarray(offset, offset + sizeOf(part));
  }
}

export function sizeOf({ shape }: Parameter): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** What is learned. Those that decay come first. */
export function parametersOf(architecture: Architecture): Parameter[] {
  const { features, classes } = architecture;
  const found = [
    ...unitsOf(architecture).flatMap(parametersOfUnit),
    {
      name: 'head.weight',
      shape: [features, classes],
      start: { kind: 'normal', deviation: 1 / Math.sqrt(features) },
      decays: true,
    } as const,
    constant('head.bias', classes, 0),
  ];
  return [...found.filter(({ decays }) => decays), ...found.filter(({ decays }) => !decays)];
}

/** What batch norms measure, for inference. */
export function statisticsOf(architecture: Architecture): Parameter[] {
  return unitsOf(architecture).flatMap(({ name, shape }) => [
    constant(`${name}.mean`, shape.outputs, 0),
    constant(`${name}.variance`, shape.outputs, 1),
  ]);
}

function parametersOfUnit({ name, shape }: Unit): Parameter[] {
  const { inputs, outputs, kernel } = shape;
  // He et al. 2015, "Delving deep into rectifiers": keeps the variance through ReLUs.
  const deviation = Math.sqrt(2 / (inputs * kernel * kernel));
  return [
    {
      name: `${name}.filters`,
      shape: filterShape(shape),
      start: { kind: 'normal', deviation },
      decays: true,
    },
    constant(`${name}.scale`, outputs, 1),
    constant(`${name}.shift`, outputs, 0),
  ];
}

function constant(name: string, length: number, value: number): Parameter {
  return { name, shape: [length], start: { kind: 'constant', value }, decays: false };
}
