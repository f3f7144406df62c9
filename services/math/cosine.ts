import { setImmediate as nextTurn } from 'node:timers/promises';

import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { numbersOf } from '../../protos/tensors.js';
import { numberValue } from '../../protos/values.js';
import type { Operation } from '../adaptor.js';
import type { MathLimits } from './limits.js';
import { argument, elementsOf } from './operands.js';
import type { MathCall, MathService } from './service.js';

/** Elements that are computed at once, on the event loop: about a millisecond. */
const ELEMENTS_AT_ONCE = 500_000;

export function cosineOperation(service: MathService): Operation {
  const kinds = ['tensor', 'list'] as const;
  return {
    spec: {
      name: 'math.cosine',
      summary:
        'cosine of the angle between two vectors: 1 = same direction, 0 = nothing in common, -1 = opposite',
      arguments: [
        argument('a', 'a vector: a tensor of numbers, or a list of them', { kinds }),
        argument('b', 'a vector of the same length', { kinds }),
      ],
      output: ['number'],
      idempotent: true,
    },
    perform(args, context) {
      const a = vectorOf('a', args.get('a'), service.limits);
      const cosine = service.cosine(a, vectorOf('b', args.get('b'), service.limits), context);
      return typeof cosine === 'number' ? numberValue(cosine) : cosine.then(numberValue);
    },
  };
}

/** The numbers of a tensor, whatever its shape, or of a list. Throws NOT_NUMBERS, NOT_A_LIST, BAD_TENSOR, LIMIT_EXCEEDED. */
export function vectorOf(name: string, value: Value | undefined, limits: MathLimits): Float64Array {
  const kind = value?.kind;
  if (kind?.$case === 'tensor') {
    const { length } = kind.value.data;
    if (length > limits.max_content_bytes)
      throw limitExceeded('max_content_bytes', length, limits.max_content_bytes, {
        what: `the size of ${name}`,
      });
    return numbersOf(kind.value, name);
  }
  return Float64Array.from(elementsOf(name, value, limits), (element, index) =>
    numberOf(`${name}[${String(index)}]`, element),
  );
}

function numberOf(name: string, { kind }: Value): number {
  if (kind?.$case === 'number') return kind.value;
  if (kind?.$case === 'integer') return Number(kind.value);
  throw invalidArgument(name, 'is not a number', 'NOT_NUMBERS');
}

/**
 * The cosine of the angle between two vectors of the same length, -1 to 1. No promise where they are short. Throws LENGTHS_DIFFER, ZERO_VECTOR (it has no
 * direction), NOT_NUMBERS for elements that are not finite.
 */
export function cosine(
  a: Float64Array,
  b: Float64Array,
  { signal }: MathCall = {},
): number | Promise<number> {
  if (a.length !== b.length)
    throw invalidArgument(
      'b',
      `has ${String(b.length)} elements, a has ${String(a.length)}: only vectors of the same length can be compared`,
      'LENGTHS_DIFFER',
    );
  const sums = new Sums(a, b);
  if (a.length <= ELEMENTS_AT_ONCE) {
    sums.measure(0, a.length);
    sums.checkScales();
    sums.add(0, a.length);
    return sums.cosine();
  }
  return inTurns(sums, a.length, signal);
}

async function inTurns(
  sums: Sums,
  length: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const each = async (step: (from: number, to: number) => void): Promise<void> => {
    for (let from = 0; from < length; from += ELEMENTS_AT_ONCE) {
      step(from, Math.min(from + ELEMENTS_AT_ONCE, length));
      await nextTurn();
      signal?.throwIfAborted();
    }
  };
  await each((from, to) => {
    sums.measure(from, to);
  });
  sums.checkScales();
  await each((from, to) => {
    sums.add(from, to);
  });
  return sums.cosine();
}

/** Products of two vectors, each scaled by its largest element: so nothing is too large or too small to be squared. */
class Sums {
  readonly #a: Float64Array;
  readonly #b: Float64Array;
  #scaleA = 0;
  #scaleB = 0;
  #aa = 0;
  #bb = 0;
  #ab = 0;

  constructor(a: Float64Array, b: Float64Array) {
    this.#a = a;
    this.#b = b;
  }

  measure(from: number, to: number): void {
    this.#scaleA = Math.max(this.#scaleA, largest('a', this.#a, from, to));
    this.#scaleB = Math.max(this.#scaleB, largest('b', this.#b, from, to));
  }

  checkScales(): void {
    const zero = this.#scaleA === 0 ? 'a' : this.#scaleB === 0 ? 'b' : undefined;
    if (zero !== undefined)
      throw invalidArgument(zero, 'has no direction: all its elements are 0', 'ZERO_VECTOR');
  }

  add(from: number, to: number): void {
    for (let index = from; index < to; index++) {
      const x = (this.#a[index] ?? 0) / this.#scaleA;
      const y = (this.#b[index] ?? 0) / this.#scaleB;
      this.#aa += x * x;
      this.#bb += y * y;
      this.#ab += x * y;
    }
  }

  cosine(): number {
    const value = this.#ab / Math.sqrt(this.#aa * this.#bb);
    // Rounding may lead past the end.
    return Math.min(1, Math.max(-1, value));
  }
}

function largest(name: string, vector: Float64Array, from: number, to: number): number {
  let most = 0;
  for (let index = from; index < to; index++) {
    const size = Math.abs(vector[index] ?? 0);
    if (!Number.isFinite(size))
      throw invalidArgument(
        name,
        `element ${String(index)} is ${String(vector[index])}, expected a finite number`,
        'NOT_NUMBERS',
      );
    if (size > most) most = size;
  }
  return most;
}
