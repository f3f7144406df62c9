import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { integerValue, textValue } from '../../protos/values.js';
import { chain, step } from '../chain-graph.js';
import type { FileName } from './chaos-calls.js';

/** Owner of the files. */
export const CLIENT = 'chaos';

/** A kind of run: what it needs, and its graphs. */
export interface Workload {
  readonly kind: string;
  /** Device types, the application node's too. */
  readonly uses: readonly string[];
  /** Names of the files that its runs read, by number of the variant. */
  readonly inputs: readonly string[];
  /** Reads the input of that variant and writes the answer under `output`. */
  readonly graph: (variant: number, output: string) => Graph;
}

const VARIANTS = 4;
const SHIFTS = 5;

export const imagePrediction: Workload = {
  kind: 'image-prediction',
  uses: ['application', 'storage', 'cnn'],
  inputs: variants((number) => `picture-${String(number)}.png`),
  graph: (variant, output) =>
    chain('image-prediction', [
      step('read', 'storage.read', nameOf(`picture-${String(variant)}.png`)),
      step('predict', 'cnn.predict', { model: textValue('shapes') }),
      step('write', 'storage.write', nameOf(output)),
    ]),
};

export const shiftLeft: Workload = {
  kind: 'shift-left',
  uses: ['application', 'storage', 'math'],
  inputs: variants((number) => `number-${String(number)}.txt`),
  graph: (variant, output) =>
    chain('shift-left', [
      step('read', 'storage.read', {
        ...nameOf(`number-${String(variant)}.txt`),
        as: textValue('integer'),
      }),
      ...Array.from({ length: SHIFTS }, (_, index) =>
        step(`shift-${String(index)}`, 'math.shift_left', { m: integerValue(1n) }),
      ),
      step('write', 'storage.write', nameOf(output)),
    ]),
};

/** The answer of shift-left, without asking anybody. */
export function shifted(variant: number): bigint {
  return operand(variant) << BigInt(SHIFTS);
}

export function operand(variant: number): bigint {
  return BigInt(7 + 1000 * variant);
}

/** Those that the device types that are there can run. */
export function possibleWorkloads(types: ReadonlySet<string>): Workload[] {
  return [imagePrediction, shiftLeft].filter(({ uses }) => uses.every((type) => types.has(type)));
}

export function fileOf(name: string): FileName {
  return { client: CLIENT, name };
}

function variants<T>(make: (number: number) => T): T[] {
  return Array.from({ length: VARIANTS }, (_, number) => make(number));
}

function nameOf(name: string): Readonly<Record<string, Value>> {
  return { client: textValue(CLIENT), name: textValue(name) };
}
